DROP TABLE moysklad_order_standings;
DROP TABLE moysklad_order_states;
DROP TABLE moysklad_positions;
