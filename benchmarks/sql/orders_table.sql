-- Every contender reads these orders. All changed last in the same hour.
drop table if exists bench_order_items, bench_orders;
create table bench_orders (
    order_id text not null,
    customer_id text not null,
    status text not null,
    updated_at timestamptz not null,
    created_at timestamptz not null,
    total_cost numeric(10, 2) not null,
    currency text not null,
    email text not null,
    phone text not null,
    first_name text not null,
    last_name text not null
);
create table bench_order_items (
    order_id text not null,
    item_id text not null,
    name text not null,
    category text not null,
    quantity integer not null,
    cost numeric(10, 2) not null,
    url text not null,
    image_url text not null
)
