//! Over HTTP, with PayPal's own verdict as the proof.

use super::*;
use crate::support::paypal::WEBHOOK_ID;

async fn post(gateway: &Gateway, headers: &[(&'static str, String)], body: &str) -> u16 {
    let mut request = gateway.http.post(gateway.url("/api/v1/webhooks/paypal")).body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    request.header("Content-Type", "application/json").send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn a_delivery_that_paypal_knows_becomes_a_payment_and_a_changed_one_is_not_let_in() {
    let paypal = Paypal::start();
    let env = [("PAYPAL_WEBHOOK_ID", WEBHOOK_ID), ("PAYPAL_VERIFICATION", "postback")];
    let gateway = fetching(&paypal, &env).await;
    paypal.put("captures", &capture("CAP1", Some("ORD1"), "COMPLETED", 1));
    // Spaces and escapes that nobody who writes the JSON anew would keep.
    let body =
        event("WH-1", "PAYMENT.CAPTURE.COMPLETED", "capture", &time(1), &json!({"id": "CAP1", "note": "é"}))
            .to_string()
            .replace("\"note\":\"é\"", "\"note\" : \"\\u00e9 \\/\"");
    let headers = paypal.sign(&body);
    assert_eq!(post(&gateway, &headers, &body).await, 200);
    assert_eq!(post(&gateway, &headers, &body).await, 200, "a repetition");
    assert!(completed(&gateway, "WH-1").await.contains("payment ORD1 is succeeded"));
    assert_eq!(state(&gateway, "ORD1").await, ("succeeded".to_owned(), 900, 0));
    assert_eq!(emitted(&gateway, "").await, counts(&[("payment.received", 1)]));
    let forged = body.replace("CAP1", "CAP2").replace("WH-1", "WH-2");
    assert_eq!(post(&gateway, &headers, &forged).await, 401);
    assert_eq!(post(&gateway, &[], &body).await, 401);
    assert!(paypal.state().verdicts >= 2);
    let page = gateway.admin_get("/api/v1/events?provider=paypal").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
}
