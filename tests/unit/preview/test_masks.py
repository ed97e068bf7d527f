"""What a person sees of personal data who may see orders."""

import pytest

from include.order_sync.preview.masks import masked, masked_body

ORDER = {
    "order_id": "1001",
    "customer_id": "10",
    "email": "anna@shop.example",
    "phone": "+380 97 111-22-33",
    "first_name": "Анна",
    "last_name": "К",
    "additional_info": '{"note": "anna@shop.example, +380971112233, Анна Коваль"}',
    "status_description": "Анна просила подзвонити",
    "channel": "shop@market.example",
    "total_cost": "19.90",
}


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ("order_id", "1001"),
        ("customer_id", "1***"),
        ("email", "a***@shop.example"),
        ("phone", "***33"),
        ("first_name", "А***"),
        ("additional_info", "{***"),
        ("status_description", "А***"),
        ("channel", "<e-mail>"),
        ("total_cost", "19.90"),
    ],
)
def test_only_the_form_is_shown(column, shown):
    """An address within another text takes nothing along; other columns stay as they are."""
    assert masked(column, ORDER[column]) == shown


def test_a_request_shows_no_more():
    """Whole values and parts of texts are masked; what only looks like a part of a number stays."""
    body = {
        "externalOrderId": "1001",
        "externalCustomerId": "10",
        "lastName": "К",
        "phone": "380971112233",
        "text": "Анна, anna@shop.example",
        "items": [{"name": "Кава"}],
        "cost": 19.9,
    }
    assert masked_body(body, ORDER) == {
        "externalOrderId": "1001",
        "externalCustomerId": "1***",
        "lastName": "К***",
        "phone": "***33",
        "text": "А***, a***@shop.example",
        "items": [{"name": "Кава"}],
        "cost": 19.9,
    }
