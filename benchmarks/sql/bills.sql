select order_id, ltrim(order_id, 'ORD-0') as bill_id, status, updated_at as status_changed_at,
       'RR' || customer_id as tracking_number
from bench_orders where updated_at >= :window_start and updated_at < :window_end
