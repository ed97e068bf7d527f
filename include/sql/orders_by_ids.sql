-- All changes of some orders, whatever their time, in the form of orders.sql: for runs that name their orders.
SELECT
    c.order_id,
    c.status,
    c.changed_at AS status_changed_at,
    c.updated_at,
    o.created_at,
    o.customer_id,
    o.email,
    o.phone,
    o.first_name,
    o.last_name,
    o.total_cost,
    o.currency,
    o.shipping,
    o.discount,
    o.taxes,
    o.delivery_method,
    o.payment_method,
    o.delivery_address,
    c.description AS status_description,
    o.restore_url,
    o.store_id,
    o.channel,
    CAST(o.additional_info AS text) AS additional_info
FROM order_changes AS c
LEFT JOIN orders AS o ON o.order_id = c.order_id
WHERE c.order_id IN :order_ids
ORDER BY c.recorded_at, c.id
