"""Random numbers that belong to a person and a day, whatever else happens: common random numbers for paired worlds."""

import zlib
from dataclasses import dataclass

import numpy as np
from scipy import special

_WORD = 2**64
_GOLDEN = 0x9E3779B97F4A7C15


def _mix(state: np.ndarray) -> np.ndarray:
    """Scramble 64-bit words (the finaliser of SplitMix64, Steele, Lea and Flood 2014)."""
    state = state ^ (state >> np.uint64(30))
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state


@dataclass(frozen=True)
class Draws:
    """Named streams of random numbers; each number is a function of seed, stream and keys alone."""

    seed: int

    def uniform(self, stream: str, *keys: np.ndarray) -> np.ndarray:
        """Uniform draws strictly between 0 and 1, one per row of the (broadcast) integer keys."""
        start = (self.seed * _GOLDEN + zlib.crc32(stream.encode()) * 0xD1342543DE82EF95 + 1) % _WORD
        state = np.full(1, start, dtype=np.uint64)
        for key in keys:
            words = np.asarray(key).astype(np.int64).view(np.uint64)
            state = _mix(state ^ (words * np.uint64(_GOLDEN) + np.uint64(0x632BE59BD9B4E019)))
        return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53

    def normal(self, stream: str, *keys: np.ndarray) -> np.ndarray:
        """Standard normal draws."""
        return special.ndtri(self.uniform(stream, *keys))

    def exponential(self, stream: str, *keys: np.ndarray) -> np.ndarray:
        """Exponential draws with mean 1."""
        return -np.log(self.uniform(stream, *keys))

    def gumbel(self, stream: str, *keys: np.ndarray) -> np.ndarray:
        """Standard Gumbel draws; the largest of utility plus Gumbel is a logit choice."""
        return -np.log(-np.log(self.uniform(stream, *keys)))

    def below(self, stream: str, share: np.ndarray | float, *keys: np.ndarray) -> np.ndarray:
        """Coin flips that come up true with the given share."""
        return self.uniform(stream, *keys) < share


def gamma_quantile(uniform: np.ndarray, shape: float, mean: float) -> np.ndarray:
    """Quantile of a gamma distribution given by shape and mean."""
    return special.gammaincinv(shape, uniform) * (mean / shape)


def choose(weights: tuple[float, ...] | np.ndarray, uniform: np.ndarray) -> np.ndarray:
    """Index picked by a uniform draw among weights."""
    total = np.cumsum(np.asarray(weights, dtype=np.float64))
    return np.minimum(np.searchsorted(total / total[-1], uniform, side="right"), len(total) - 1)
