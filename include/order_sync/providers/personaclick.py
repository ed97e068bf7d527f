"""PersonaClick: the platform of REES46 under its own name and host, with the same calls and answers."""

from dataclasses import replace
from functools import partial

from include.order_sync.providers import rees46

TITLE = "PersonaClick"

# 40 a minute, which docs.personaclick.com gives for the newer call of the same account,
# POST https://api.personaclick.com/sync/orders. It gives none for the call that is used here.
REQUESTS_A_SECOND = 40 / 60

PROVIDER = replace(
    rees46.PROVIDER,
    name="personaclick",
    title=TITLE,
    documentation="https://docs.personaclick.com/display/en/Synchronize+Order+Statuses",
    requests_a_second=REQUESTS_A_SECOND,
    read=partial(rees46.read_answer, title=TITLE),
)
