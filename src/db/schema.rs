//! Tables as diesel sees them.
#![allow(missing_docs)]

diesel::table! {
    /// Events: one row is the stored fact, its dedupe key and its place in the work queue.
    webhook_events (id) {
        id -> Uuid,
        provider -> Text,
        event_id -> Text,
        event_type -> Text,
        subject -> Nullable<Text>,
        occurred_at -> Nullable<Timestamptz>,
        received_at -> Timestamptz,
        body -> Bytea,
        envelope -> Nullable<Text>,
        headers -> Text,
        duplicates -> Int4,
        last_duplicate_at -> Nullable<Timestamptz>,
        conflicting_duplicates -> Int4,
        outcome -> Nullable<Text>,
        processed_at -> Nullable<Timestamptz>,
        status -> Text,
        lane -> Nullable<Int8>,
        attempts -> Int4,
        max_attempts -> Int4,
        priority -> Int2,
        run_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        lease_owner -> Nullable<Uuid>,
        last_error -> Nullable<Text>,
        attempt_log -> Jsonb,
        replay_key -> Nullable<Bytea>,
        replay_of -> Nullable<Uuid>,
    }
}

diesel::table! {
    /// Sync tasks: one unit of upstream work with an account, an entity and an operation.
    sync_queue (id) {
        id -> Uuid,
        event_id -> Nullable<Uuid>,
        account_id -> Uuid,
        entity_type -> Text,
        entity_id -> Text,
        operation -> Text,
        payload -> Jsonb,
        dedupe_key -> Text,
        created_at -> Timestamptz,
        outcome -> Nullable<Text>,
        processed_at -> Nullable<Timestamptz>,
        status -> Text,
        lane -> Nullable<Int8>,
        attempts -> Int4,
        max_attempts -> Int4,
        priority -> Int2,
        run_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        lease_owner -> Nullable<Uuid>,
        last_error -> Nullable<Text>,
        attempt_log -> Jsonb,
    }
}

diesel::table! {
    /// Which lead was enriched for which contact.
    c2s_enrichments (lead_id, fingerprint) {
        lead_id -> Text,
        fingerprint -> Bytea,
        state -> Text,
        started_at -> Timestamptz,
        posted_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// MoySklad accounts: one main account of a franchise and its children.
    moysklad_accounts (account_id) {
        account_id -> Uuid,
        name -> Text,
        role -> Text,
        parent_account_id -> Nullable<Uuid>,
        status -> Text,
        sealed_token -> Bytea,
        settings -> Jsonb,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
        sealed_hook_token -> Nullable<Bytea>,
        own_uid -> Nullable<Text>,
    }
}

diesel::table! {
    /// Mappings: which entity in a child is which entity in main.
    moysklad_mappings (main_account, child_account, entity_type, main_id) {
        main_account -> Uuid,
        child_account -> Uuid,
        entity_type -> Text,
        main_id -> Uuid,
        child_id -> Uuid,
        written_hash -> Nullable<Bytea>,
        created_at -> Timestamptz,
        written_fields -> Nullable<Jsonb>,
        adding_since -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Changes of main's catalogue that a child does not have yet.
    moysklad_changes (child_account, main_account, entity_type, main_id) {
        main_account -> Uuid,
        child_account -> Uuid,
        entity_type -> Text,
        main_id -> Uuid,
        operation -> Text,
        updated_fields -> Nullable<Jsonb>,
        event_id -> Nullable<Uuid>,
        status -> Text,
        error -> Nullable<Text>,
        failed_task -> Nullable<Uuid>,
        version -> Int8,
        created_at -> Timestamptz,
        due_at -> Timestamptz,
        tries -> Int4,
    }
}

diesel::allow_tables_to_appear_in_same_query!(moysklad_mappings, moysklad_changes);

diesel::table! {
    /// Entities that were about to be made in a child.
    moysklad_creates (child_account, main_account, entity_type, main_id) {
        main_account -> Uuid,
        child_account -> Uuid,
        entity_type -> Text,
        main_id -> Uuid,
        external_code -> Text,
        begun_at -> Timestamptz,
        fields -> Jsonb,
    }
}

diesel::table! {
    /// Images of main's goods in a child: what was copied, and which are to be looked at.
    moysklad_images (main_account, child_account, entity_type, main_id) {
        main_account -> Uuid,
        child_account -> Uuid,
        entity_type -> Text,
        main_id -> Uuid,
        copied -> Jsonb,
        status -> Text,
        event_id -> Nullable<Uuid>,
        error -> Nullable<Text>,
        failed_task -> Nullable<Uuid>,
        version -> Int8,
        due_at -> Timestamptz,
        failures -> Int4,
        doubtful -> Bool,
    }
}

diesel::table! {
    /// What became of each change in a child.
    moysklad_sync_log (id) {
        id -> Uuid,
        at -> Timestamptz,
        main_account -> Uuid,
        child_account -> Uuid,
        entity_type -> Text,
        main_id -> Uuid,
        child_id -> Nullable<Uuid>,
        task_id -> Nullable<Uuid>,
        event_id -> Nullable<Uuid>,
        operation -> Text,
        strategy -> Text,
        received -> Nullable<Jsonb>,
        applied -> Jsonb,
        skipped -> Jsonb,
        error -> Nullable<Text>,
        calls -> Float8,
        duration_ms -> Int8,
    }
}

diesel::table! {
    /// Which line of main's order is which line of a child's document.
    moysklad_positions (child_account, main_account, child_document, child_position) {
        main_account -> Uuid,
        child_account -> Uuid,
        child_document -> Uuid,
        child_position -> Uuid,
        main_position -> Uuid,
    }
}

diesel::table! {
    /// The states that a child's order and main's copy of it had when they were last in step.
    moysklad_order_states (child_account, main_account, child_document) {
        main_account -> Uuid,
        child_account -> Uuid,
        child_document -> Uuid,
        child_state -> Nullable<Text>,
        main_state -> Nullable<Text>,
    }
}

diesel::table! {
    /// How orders stood when it was last told.
    moysklad_order_standings (account_id, order_id) {
        account_id -> Uuid,
        order_id -> Uuid,
        standing -> Text,
    }
}

diesel::joinable!(sync_queue -> webhook_events (event_id));
diesel::allow_tables_to_appear_in_same_query!(webhook_events, sync_queue);

diesel::table! {
    /// One row per payment: what its parts add up to.
    payments (provider, payment_id) {
        provider -> Text,
        payment_id -> Text,
        status -> Text,
        amount -> Nullable<Int8>,
        amount_refunded -> Int8,
        currency -> Nullable<Text>,
        customer -> Nullable<Text>,
        last_event_id -> Text,
        last_event_at -> Timestamptz,
        last_event_rank -> Int2,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// One row per object of the provider that says something about a payment: its newest state.
    payment_parts (provider, object_id) {
        provider -> Text,
        object_id -> Text,
        payment_id -> Text,
        role -> Text,
        as_of -> Timestamptz,
        standing -> Text,
        refunded -> Int8,
        amount -> Nullable<Int8>,
        currency -> Nullable<Text>,
        customer -> Nullable<Text>,
    }
}

diesel::table! {
    /// When an object was last fetched from Stripe.
    stripe_objects (account, object_id) {
        account -> Text,
        object_id -> Text,
        synced_at -> Timestamptz,
        gone -> Bool,
        facts -> Nullable<Jsonb>,
    }
}

diesel::table! {
    /// One row per message or push notification: how far it has come.
    messages (provider, message_id) {
        provider -> Text,
        message_id -> Text,
        direction -> Text,
        status -> Text,
        seen -> Array<Text>,
        error_code -> Nullable<Text>,
        last_event_id -> Text,
        created_at -> Timestamptz,
        updated_at -> Timestamptz,
    }
}

diesel::table! {
    /// Requests that were not proven, or could not be read.
    quarantined_requests (id) {
        id -> Uuid,
        provider -> Text,
        reason -> Text,
        fingerprint -> Bytea,
        steps -> Jsonb,
        method -> Text,
        bases -> Jsonb,
        path -> Text,
        query -> Text,
        headers -> Jsonb,
        sealed -> Nullable<Bytea>,
        proof_kept -> Bool,
        body -> Bytea,
        body_bytes -> Int4,
        size -> Int4,
        times -> Int4,
        received_at -> Timestamptz,
        last_seen_at -> Timestamptz,
        reverified_at -> Nullable<Timestamptz>,
        outcome -> Nullable<Text>,
        receipt -> Nullable<Jsonb>,
    }
}

diesel::table! {
    /// Which secret proved how much.
    provider_secret_uses (provider, secret_id) {
        provider -> Text,
        secret_id -> Text,
        uses -> Int8,
        first_used_at -> Timestamptz,
        last_used_at -> Timestamptz,
    }
}

diesel::table! {
    /// What happened at the door, by the hour.
    provider_hours (provider, hour) {
        provider -> Text,
        hour -> Timestamptz,
        proven -> Int8,
        unproven -> Int8,
        unreadable -> Int8,
        events -> Int8,
        last_event_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Secrets that handshakes offered.
    offered_secrets (id) {
        id -> Uuid,
        provider -> Text,
        fingerprint -> Bytea,
        sealed -> Bytea,
        offered_at -> Timestamptz,
        approved_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Breakers against loops: an entity whose own writes come back as webhooks is not written for a while.
    moysklad_loop_breakers (account_id, entity_type, entity_id) {
        account_id -> Uuid,
        entity_type -> Text,
        entity_id -> Uuid,
        written_at -> Timestamptz,
        echoed -> Bool,
        count -> Int4,
        trips -> Int4,
        tripped_at -> Nullable<Timestamptz>,
        reset_at -> Nullable<Timestamptz>,
        echoes -> Array<Timestamptz>,
    }
}

diesel::table! {
    /// What is done for each account again and again, one node at a time.
    moysklad_sweeps (account_id, job) {
        account_id -> Uuid,
        job -> Text,
        due_at -> Timestamptz,
        lease_until -> Nullable<Timestamptz>,
        lease_owner -> Nullable<Uuid>,
        seen_until -> Timestamptz,
        progress -> Nullable<Jsonb>,
        finished_at -> Nullable<Timestamptz>,
        last_error -> Nullable<Text>,
        compared_at -> Nullable<Timestamptz>,
    }
}

diesel::table! {
    /// Processes that are alive.
    nodes (id) {
        id -> Uuid,
        is_command -> Bool,
        joined_at -> Timestamptz,
        heeds -> Int4,
        alive_until -> Timestamptz,
    }
}
