DROP TABLE moysklad_creates;
