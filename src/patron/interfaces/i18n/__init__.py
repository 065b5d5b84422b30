"""Every text and number people see, in English and Chinese.

`translations` finds a text by its key, `formats` writes numbers, money and times.
Sentences that several interfaces show: `refusal_texts`, `rule_texts` (segments), `policy_texts`, `decision_texts`,
`campaign_texts`, `journey_texts` and what both share in `engagement_texts`, `persona_texts`, `question_texts`,
`recommendation_texts`, `task_texts`, `user_mail_texts`.
"""

LOCALES = ("en", "zh_CN")
"""Languages of console and report; the first is the default."""
