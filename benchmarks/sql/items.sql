select i.order_id, i.item_id, i.name, i.category, i.quantity, i.cost, i.url, i.image_url
from bench_order_items i join bench_orders o using (order_id)
where o.updated_at >= :window_start and o.updated_at < :window_end
