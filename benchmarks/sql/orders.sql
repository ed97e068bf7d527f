select order_id, status, updated_at as status_changed_at
from bench_orders where updated_at >= :window_start and updated_at < :window_end
