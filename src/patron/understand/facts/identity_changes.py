"""The ledger of identities: every change of a token's customer, by the turn that found it."""


def identity_changes(turn_id: str) -> str:
    """One row per token that has another customer than the turns before left it with; at first a token is its own."""
    return f"""
        select '{turn_id}' as turn_id, i.token, i.customer_id,
            coalesce(b.customer_id, md5(i.token)) as previous_customer_id, coalesce(i.rule, 'unlinked') as rule,
            i.known_at
        from identities i
        left join (
            select token, customer_id
            from (
                select token, customer_id, row_number() over (partition by token order by turn_id desc) as place
                from identity_changes where turn_id < '{turn_id}'
            ) r
            where place = 1
        ) b on b.token = i.token
        where i.customer_id <> coalesce(b.customer_id, md5(i.token))"""
