"""How people and programs ask: command line, HTTP, console, report, charts, in two languages.

`cli`, `http` and `console` parse, call one command or answer, and show the result; each has the rooms of the commands.
`report` is the page, the brief and the digest that leave the workspace. `charts` draws for all of them, `i18n` has
every text in English and Chinese.
"""
