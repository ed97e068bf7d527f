-- The items of some orders.
SELECT
    i.order_id,
    i.item_id,
    i.name,
    i.quantity,
    i.cost,
    i.url,
    i.image_url,
    i.category,
    i.description
FROM order_items AS i
WHERE i.order_id IN :order_ids
ORDER BY i.order_id, i.item_id
