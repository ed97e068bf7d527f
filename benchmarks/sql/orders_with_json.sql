select order_id, status, updated_at as status_changed_at, created_at, customer_id, email, phone, first_name, last_name,
       total_cost, currency, items
from bench_orders where updated_at >= :window_start and updated_at < :window_end
