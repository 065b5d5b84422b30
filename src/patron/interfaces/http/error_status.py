"""How refusals travel over HTTP."""

from patron.schema import errors

STATUS: dict[type[errors.PatronError], int] = {
    errors.SettingsError: 500,
    errors.BadKeyTerms: 422,
    errors.WorkspaceError: 500,
    errors.OlderWorkspace: 500,
    errors.WorkspaceBusy: 409,
    errors.VersionGone: 503,
    errors.ReadOnlyPast: 409,
    errors.NoSpace: 503,
    errors.InboxDamaged: 500,
    errors.LakeDamaged: 500,
    errors.EventsLost: 500,
    errors.MasterKeyError: 500,
    errors.InvalidTable: 500,
    errors.BadFile: 422,
    errors.BadMapping: 422,
    errors.BadEvent: 422,
    errors.BadRequest: 400,
    errors.BadKey: 401,
    errors.NotAllowed: 403,
    errors.AccessProblem: 422,
    errors.TooMany: 429,
    errors.Overloaded: 503,
    errors.ProfilesBehind: 503,
    errors.BadQuery: 422,
    errors.BadComparison: 422,
    errors.BadInteractions: 422,
    errors.BadListInput: 422,
    errors.BadExperiment: 422,
    errors.BadLog: 422,
    errors.BadAllocation: 422,
    errors.ConflictingConstraints: 422,
    errors.BadPrivacyRequest: 422,
    errors.BadProposal: 422,
    errors.BadWebhook: 422,
    errors.BadDigest: 422,
    errors.BadTrial: 422,
    errors.BadSegment: 422,
    errors.BadCampaign: 422,
    errors.BadJourney: 422,
    errors.BadAudience: 422,
    errors.BadTemplate: 422,
    errors.EditConflict: 409,
    errors.SendingHeld: 409,
    errors.ChannelUnavailable: 503,
    errors.NotEnoughData: 409,
    errors.NotFound: 404,
    errors.NoRunYet: 404,
    errors.MissingExtra: 503,
    errors.PatronError: 500,
}
"""Status of every refusal; a class that is not listed takes its parent's, and a test finds it."""


def status_of(error: errors.PatronError) -> int:
    """Status of a refusal."""
    if isinstance(error, errors.BadRequest):
        return error.status
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
