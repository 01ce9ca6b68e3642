//! Sync tasks: one unit of upstream work with an account, an entity and an operation (table `sync_queue`).
