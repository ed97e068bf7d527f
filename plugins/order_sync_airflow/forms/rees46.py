"""The form of a connection to REES46."""

TITLE = "REES46"
HOOK = "Rees46Hook"
ADDRESS = "https://api.rees46.ru"
LOGIN, LOGIN_HELP = "shop_id", "the shop's id, from its settings at REES46"
SECRET, SECRET_HELP = "shop_secret", "the shop's secret, from the same place"
