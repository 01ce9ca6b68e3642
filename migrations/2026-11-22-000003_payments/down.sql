DROP TABLE stripe_objects;
DROP TABLE payment_parts;
DROP TABLE payments;
