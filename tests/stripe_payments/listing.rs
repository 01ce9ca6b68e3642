//! `GET /api/v1/payments`.

use super::*;

#[tokio::test]
async fn payments_are_listed_by_filter_and_page_to_the_operator_alone() {
    let gateway = trusting().await;
    for number in 0..7 {
        let status = if number % 2 == 0 { "succeeded" } else { "canceled" };
        let id = format!("evt_{number}");
        let object = intent(&format!("pi_{number}"), status);
        send(&gateway, &event(&id, &format!("payment_intent.{status}"), T, &object)).await;
        completed(&gateway, &id).await;
    }
    let ids = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap();
        items.iter().map(|item| item["payment_id"].as_str().unwrap().to_owned()).collect()
    };
    let all = gateway.admin_get("/api/v1/payments").await;
    assert_eq!(ids(&all), ["pi_6", "pi_5", "pi_4", "pi_3", "pi_2", "pi_1", "pi_0"]);
    assert_eq!(all["next_cursor"], Value::Null);
    let mut paged = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway.admin_get(&format!("/api/v1/payments?limit=3&cursor={cursor}")).await;
        paged.push(ids(&page));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    let expected = [vec!["pi_6", "pi_5", "pi_4"], vec!["pi_3", "pi_2", "pi_1"], vec!["pi_0"]];
    assert_eq!(paged, expected);
    let canceled = gateway.admin_get("/api/v1/payments?provider=stripe&status=canceled").await;
    assert_eq!(ids(&canceled), ["pi_5", "pi_3", "pi_1"]);
    assert_eq!(ids(&gateway.admin_get("/api/v1/payments?id=pi_4").await), ["pi_4"]);
    assert!(ids(&gateway.admin_get("/api/v1/payments?provider=paypal").await).is_empty());
    for bad in ["limit=0", "limit=201", "status=paid", "cursor=x", "stauts=failed", "id=%00"] {
        let (status, problem) = gateway.admin("GET", &format!("/api/v1/payments?{bad}"), &Value::Null).await;
        assert_eq!((status, &problem["status"]), (400, &json!(400)), "{bad}: {problem}");
    }
    let stranger = gateway.http.get(gateway.url("/api/v1/payments")).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
