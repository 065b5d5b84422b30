"""Catalogues are read once and then from compiled files, with the same texts."""

import os

import pytest

from patron.interfaces.i18n import LOCALES, catalogue


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return catalogue.cache_folder()


@pytest.mark.parametrize("locale", LOCALES)
def test_the_second_process_reads_what_the_first_compiled(cache, locale, monkeypatch):
    first = catalogue.read_catalogue(locale)
    assert [file.suffix for file in cache.iterdir()] == [".json"]
    monkeypatch.setattr(catalogue, "compile_catalogue", lambda _: pytest.fail("compiled again"))
    assert catalogue.read_catalogue(locale) == first


def test_another_text_is_compiled_anew(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "HERE", tmp_path)
    for text in ("One", "Another"):
        (tmp_path / "en.po").write_text(f'msgid ""\nmsgstr ""\n"Language: en\\n"\n\nmsgid "key"\nmsgstr "{text}"\n')
        assert catalogue.read_catalogue("en")[0] == {"key": text}
    assert len(list(cache.iterdir())) == 2


def test_compiled_files_next_to_the_sources_come_first(cache, tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue, "HERE", tmp_path)
    source = tmp_path / "en.po"
    source.write_text('msgid ""\nmsgstr ""\n"Language: en\\n"\n\nmsgid "key"\nmsgstr "One"\n')
    (tmp_path / catalogue.compiled_name("en", source.read_bytes())).write_text(catalogue.compile_catalogue(source))
    assert catalogue.read_catalogue("en")[0] == {"key": "One"}
    assert not cache.exists()


def test_without_a_folder_to_write_texts_are_read_all_the_same(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path / "file"))
    assert catalogue.read_catalogue("en")[0]
