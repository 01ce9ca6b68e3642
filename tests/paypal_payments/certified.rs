//! Over HTTP, proven here with the certificate that the delivery names.

use super::*;
use crate::support::faulty_server::{Answer, FaultyServer};
use crate::support::paypal::WEBHOOK_ID;
use crate::support::sign;
use reqwest::StatusCode;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::NamedTempFile;

/// Where PayPal shows its certificates, which stands in for the real host.
struct Bench {
    gateway: Gateway,
    paypal: Paypal,
    /// Requests for the certificate.
    server: FaultyServer,
    is_up: Arc<AtomicBool>,
    _files: [NamedTempFile; 2],
}

fn certificate(name: &str) -> String {
    sign::test_key("certificates", name).as_str().unwrap().to_owned()
}

fn file(name: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate(name).as_bytes()).unwrap();
    file
}

impl Bench {
    async fn start() -> Self {
        let paypal = Paypal::start();
        let is_up = Arc::new(AtomicBool::new(true));
        let server = {
            let is_up = is_up.clone();
            let (good, other) = (certificate("paypal"), certificate("good"));
            FaultyServer::start(move |seen| {
                let found = if seen.target.ends_with("/CERT-good") { &good } else { &other };
                let status = if is_up.load(Ordering::SeqCst) { 200 } else { 500 };
                Answer::status(status).body(found.as_bytes()).into()
            })
            .await
        };
        let hosts = format!("api.paypal.com={}", server.url);
        let files = [file("root"), file("intermediate")];
        let path = |file: &NamedTempFile| file.path().to_str().unwrap().to_owned();
        let gateway = fetching(
            &paypal,
            &[
                ("PAYPAL_WEBHOOK_ID", WEBHOOK_ID),
                ("HOOKGATE_KEY_HOSTS", &hosts),
                ("HOOKGATE_KEY_ROOTS", &path(&files[0])),
                ("HOOKGATE_KEY_INTERMEDIATES", &path(&files[1])),
            ],
        )
        .await;
        Self { gateway, paypal, server, is_up, _files: files }
    }

    async fn post(&self, headers: &[(&str, String)], body: &str) -> StatusCode {
        let request = self.gateway.http.post(self.gateway.url("/api/v1/webhooks/paypal"));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        request.body(body.to_owned()).send().await.unwrap().status()
    }
}

/// CRC-32 as IEEE 802.3 has it, bit by bit: another implementation than ours.
fn crc32(bytes: &[u8]) -> u32 {
    let round = |crc: u32| if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| round(crc));
    !bytes.iter().fold(u32::MAX, byte)
}

/// The headers of a delivery whose certificate is at this path of this host.
fn headers(url: &str, body: &str) -> Vec<(&'static str, String)> {
    let id = uuid::Uuid::new_v4().to_string();
    let time = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
    let signed = format!("{id}|{time}|{WEBHOOK_ID}|{}", crc32(body.as_bytes()));
    vec![
        ("Paypal-Auth-Algo", "SHA256withRSA".to_owned()),
        ("Paypal-Cert-Url", url.to_owned()),
        ("Paypal-Transmission-Sig", sign::base64(&sign::rsa_sha256(signed.as_bytes()))),
        ("Paypal-Transmission-Id", id),
        ("Paypal-Transmission-Time", time),
    ]
}

const GOOD: &str = "https://api.paypal.com/v1/notifications/certs/CERT-good";

fn capture_event(id: &str) -> String {
    event(id, "PAYMENT.CAPTURE.COMPLETED", "capture", &time(1), &json!({"id": "CAP1"})).to_string()
}

#[tokio::test]
async fn a_delivery_proven_by_its_certificate_becomes_a_payment() {
    let bench = Bench::start().await;
    bench.paypal.put("captures", &capture("CAP1", Some("ORD1"), "COMPLETED", 1));
    let body = capture_event("WH-1");
    let delivery = headers(GOOD, &body);
    assert_eq!(bench.post(&delivery, &body).await, 200);
    assert_eq!(bench.post(&delivery, &body).await, 200, "a repetition");
    let second = capture_event("WH-2");
    assert_eq!(bench.post(&headers(GOOD, &second), &second).await, 200);
    assert_eq!(bench.server.requests(), 1, "one certificate, fetched once");
    assert!(completed(&bench.gateway, "WH-1").await.contains("payment ORD1 is succeeded"));
    assert_eq!(state(&bench.gateway, "ORD1").await, ("succeeded".to_owned(), 900, 0));
    assert_eq!(bench.paypal.state().verdicts, 0, "nobody was asked");
}

#[tokio::test]
async fn no_other_certificate_proves_a_delivery() {
    let bench = Bench::start().await;
    let body = capture_event("WH-1");
    for (what, url) in [
        ("another name", "https://api.paypal.com/v1/notifications/certs/CERT-other"),
        ("another host", "https://api.paypal.com.evil.example/v1/notifications/certs/CERT-good"),
        ("another path", "https://api.paypal.com/v1/certs/CERT-good"),
        ("no https", "http://api.paypal.com/v1/notifications/certs/CERT-good"),
        ("a user in front", "https://api.paypal.com@evil.example/v1/notifications/certs/CERT-good"),
    ] {
        assert_eq!(bench.post(&headers(url, &body), &body).await, 401, "{what}");
    }
    assert_eq!(bench.server.requests(), 1, "only an allowed address is asked");
    for (name, value) in [
        ("Paypal-Auth-Algo", "SHA1withRSA".to_owned()),
        ("Paypal-Transmission-Id", uuid::Uuid::new_v4().to_string()),
        ("Paypal-Transmission-Time", "2026-11-23T00:00:00Z".to_owned()),
    ] {
        let mut changed = headers(GOOD, &body);
        changed.iter_mut().find(|header| header.0 == name).unwrap().1 = value;
        assert_eq!(bench.post(&changed, &body).await, 401, "{name}");
    }
    let genuine = headers(GOOD, &body);
    assert_eq!(bench.post(&genuine, &body.replace("CAP1", "CAP2")).await, 401, "another body");
    assert_eq!(bench.gateway.admin_get("/api/v1/events").await["items"], json!([]));
}

#[tokio::test]
async fn without_the_certificate_paypal_is_told_to_come_again() {
    let bench = Bench::start().await;
    let body = capture_event("WH-1");
    bench.is_up.store(false, Ordering::SeqCst);
    let delivery = headers(GOOD, &body);
    assert_eq!(bench.post(&delivery, &body).await, 503, "it cannot be told whether it is genuine");
    bench.is_up.store(true, Ordering::SeqCst);
    wait::until("the certificate is asked for again", Duration::from_secs(30), || async {
        (bench.post(&delivery, &body).await == 200).then_some(())
    })
    .await;
}
