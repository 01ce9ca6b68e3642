//! Which events of Stripe are handled, and what object each brings.

/// The kinds of objects that are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A payment intent.
    PaymentIntent,
    /// A charge.
    Charge,
    /// A refund.
    Refund,
    /// An invoice.
    Invoice,
    /// A customer.
    Customer,
    /// A customer's subscription.
    Subscription,
}

impl Kind {
    /// The kind that events of this type bring; `None`: such events are not handled.
    pub(super) fn of_type(event_type: &str) -> Option<Self> {
        let (family, rest) = event_type.split_once('.')?;
        match family {
            "payment_intent" => Some(Self::PaymentIntent),
            "charge" if rest.starts_with("dispute.") => None,
            // An older name of `refund.updated`, sent for some methods only.
            "charge" if rest.starts_with("refund.") => Some(Self::Refund),
            "charge" => Some(Self::Charge),
            "refund" => Some(Self::Refund),
            "invoice" => Some(Self::Invoice),
            "customer" if matches!(rest, "created" | "updated" | "deleted") => Some(Self::Customer),
            "customer" if rest.starts_with("subscription.") => Some(Self::Subscription),
            _ => None,
        }
    }

    /// What Stripe writes into an object's field `object`.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::PaymentIntent => "payment_intent",
            Self::Charge => "charge",
            Self::Refund => "refund",
            Self::Invoice => "invoice",
            Self::Customer => "customer",
            Self::Subscription => "subscription",
        }
    }

    /// Path of its collection, and the route as logs show it.
    pub(super) fn endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::PaymentIntent => ("/v1/payment_intents", "GET /v1/payment_intents/{id}"),
            Self::Charge => ("/v1/charges", "GET /v1/charges/{id}"),
            Self::Refund => ("/v1/refunds", "GET /v1/refunds/{id}"),
            Self::Invoice => ("/v1/invoices", "GET /v1/invoices/{id}"),
            Self::Customer => ("/v1/customers", "GET /v1/customers/{id}"),
            Self::Subscription => ("/v1/subscriptions", "GET /v1/subscriptions/{id}"),
        }
    }

    /// Whether an event of this type says that the object cannot be fetched any more. A subscription that is
    /// "deleted" is canceled and still there.
    pub(super) fn is_deleted_by(self, event_type: &str) -> bool {
        matches!(self, Self::Customer | Self::Invoice) && event_type.ends_with(".deleted")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_handled_type_has_its_kind() {
        for (event_type, kind) in [
            ("payment_intent.succeeded", Kind::PaymentIntent),
            ("charge.refunded", Kind::Charge),
            ("charge.refund.updated", Kind::Refund),
            ("refund.failed", Kind::Refund),
            ("invoice.payment_failed", Kind::Invoice),
            ("customer.deleted", Kind::Customer),
            ("customer.subscription.trial_will_end", Kind::Subscription),
        ] {
            assert_eq!(Kind::of_type(event_type), Some(kind), "{event_type}");
        }
    }

    #[test]
    fn other_types_have_none() {
        for event_type in [
            "charge.dispute.created",
            "customer.source.created",
            "customer.created_twice",
            "invoiceitem.created",
            "invoice_payment.paid",
            "payout.paid",
            "v1.charge.succeeded",
            "charge",
            "",
        ] {
            assert_eq!(Kind::of_type(event_type), None, "{event_type}");
        }
    }
}
