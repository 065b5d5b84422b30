"""The ledger of identities: every change of a token's customer, by the run that found it."""


def identity_changes(run_id: str) -> str:
    """One row per token that has another customer than the runs before left it with; at first a token is its own."""
    return f"""
        select '{run_id}' as run_id, i.token, i.customer_id,
            coalesce(b.customer_id, md5(i.token)) as previous_customer_id, coalesce(i.rule, 'unlinked') as rule,
            i.known_at
        from identities i
        left join (
            select token, customer_id
            from (
                select token, customer_id, row_number() over (partition by token order by run_id desc) as place
                from identity_changes where run_id < '{run_id}'
            ) r
            where place = 1
        ) b on b.token = i.token
        where i.customer_id <> coalesce(b.customer_id, md5(i.token))"""
