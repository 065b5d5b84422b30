"""`patron users` and `patron teams`: from an invitation to a disabled user; no password is read or printed."""

import json


def test_users_and_teams_on_the_command_line(shop, patron):
    def run(*words, code=0):
        ran = patron(*words, "--workspace", shop.folder)
        assert ran.code == code, ran.err
        return ran.out if code == 0 else ran.message

    assert "No users yet" in run("users", "list")
    assert "Saved West" in run("teams", "save", "West")
    words = ("users", "invite", "Ben@Example.com", "--role", "admin", "--role", "service-agent", "--team", "West")
    invited = json.loads(run(*words, "--grant", "export", "--name", "Ben", "--as", "Ada", "--json"))
    assert invited["link"].startswith("http://127.0.0.1:8321/join/")
    assert invited["is_mailed"] is False
    listed = json.loads(run("users", "list", "--json"))
    assert [(one["email"], one["roles"], one["created_by"]) for one in listed] == [
        ("ben@example.com", ["service_agent", "admin"], "Ada")
    ]
    assert "password_hash" not in str(listed)
    assert "ben@example.com" in run("users", "list")
    assert "viewer, reveal" in run("users", "set-roles", "ben@example.com", "--role", "viewer", "--grant", "reveal")
    assert "One of viewer" in run("users", "set-roles", "ben@example.com", "--role", "boss", code=1)
    assert "One of viewer" in run("users", "invite", "eve@example.com", "--role", "", code=1)
    assert patron("users", "invite", "eve@example.com", "--workspace", shop.folder).code == 2, "a role is chosen"
    assert "eve@example.com" not in run("users", "list")
    assert "cannot sign in" in run("users", "reset-link", "ben@example.com", code=1)
    assert "no such user" in run("users", "disable", "nobody@example.com", code=1)
    assert "West: every customer, 0 members" in run("teams", "list")
    assert "Deleted West" in run("teams", "delete", "West")
