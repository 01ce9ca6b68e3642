//! Which events of PayPal are handled, and what resource each is about.

/// The kinds of resources that are handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An order: the wish to be paid.
    Order,
    /// A capture: money taken.
    Capture,
    /// A refund of a capture.
    Refund,
}

impl Kind {
    /// The kind that events of this type are about; `None`: such events are not handled.
    pub(super) fn of_type(event_type: &str) -> Option<Self> {
        match event_type {
            // They name the capture and bring its refund.
            "PAYMENT.CAPTURE.REFUNDED" | "PAYMENT.CAPTURE.REVERSED" => Some(Self::Refund),
            "CHECKOUT.PAYMENT-APPROVAL.REVERSED" => Some(Self::Order),
            _ if event_type.starts_with("CHECKOUT.ORDER.") => Some(Self::Order),
            _ if event_type.starts_with("PAYMENT.CAPTURE.") => Some(Self::Capture),
            _ if event_type.starts_with("PAYMENT.REFUND.") => Some(Self::Refund),
            _ => None,
        }
    }

    /// The kind by the event's field `resource_type`, which says more than its type.
    pub(super) fn of_resource(resource_type: &str) -> Option<Self> {
        match resource_type {
            "checkout-order" => Some(Self::Order),
            "capture" => Some(Self::Capture),
            "refund" => Some(Self::Refund),
            _ => None,
        }
    }

    /// Its word in outcomes.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }

    /// Path of its collection, and the route as logs show it.
    pub(super) fn endpoint(self) -> (&'static str, &'static str) {
        match self {
            Self::Order => ("/v2/checkout/orders", "GET /v2/checkout/orders/{id}"),
            Self::Capture => ("/v2/payments/captures", "GET /v2/payments/captures/{id}"),
            Self::Refund => ("/v2/payments/refunds", "GET /v2/payments/refunds/{id}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_handled_type_has_its_kind_and_others_have_none() {
        for (event_type, kind) in [
            ("CHECKOUT.ORDER.APPROVED", Some(Kind::Order)),
            ("CHECKOUT.ORDER.COMPLETED", Some(Kind::Order)),
            ("CHECKOUT.PAYMENT-APPROVAL.REVERSED", Some(Kind::Order)),
            ("PAYMENT.CAPTURE.COMPLETED", Some(Kind::Capture)),
            ("PAYMENT.CAPTURE.DENIED", Some(Kind::Capture)),
            ("PAYMENT.CAPTURE.REFUNDED", Some(Kind::Refund)),
            ("PAYMENT.REFUND.FAILED", Some(Kind::Refund)),
            ("PAYMENT.SALE.COMPLETED", None),
            ("BILLING.SUBSCRIPTION.CREATED", None),
            ("payment.capture.completed", None),
            ("", None),
        ] {
            assert_eq!(Kind::of_type(event_type), kind, "{event_type}");
        }
    }
}
