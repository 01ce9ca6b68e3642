DROP TABLE offered_secrets;
DROP TABLE provider_hours;
DROP TABLE provider_secret_uses;
DROP TABLE quarantined_requests;
