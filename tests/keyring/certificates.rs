use super::*;
use hookgate::providers::evidence::Evidence as _;
use hookgate::providers::proof::certificate::{CertificateRules, public_key};
use hookgate::providers::proof::{PublicKey, SignatureScheme};
use std::io::Write as _;
use std::time::Instant;
use tempfile::NamedTempFile;
use url::Url;

const HOST: &str = "api.paypal.com";
const DAY: i64 = 24 * 3600;

fn url(path: &str) -> Url {
    Url::parse(&format!("https://{HOST}/v1/notifications/certs/{path}")).unwrap()
}

fn need(path: &str) -> Needed {
    Needed::Certificate(url(path))
}

fn good() -> &'static str {
    made("certificates", "good")
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

#[tokio::test]
async fn a_certificate_is_fetched_once_and_chains_to_the_configured_roots() {
    let server = FaultyServer::start(|_| ok(good())).await;
    let (root, intermediate) =
        (file(made("certificates", "root")), file(made("certificates", "intermediate")));
    let bench = Bench::new(KeyringSettings {
        extra_roots: Some(root.path().to_owned()),
        extra_intermediates: Some(intermediate.path().to_owned()),
        url_overrides: overrides(&server, &[HOST]),
        ..KeyringSettings::default()
    });
    assert_eq!(bench.keyring.certificate(&url("CERT-1")), None);
    assert!(bench.keyring.anchors().roots().is_empty(), "nothing is read before it is needed");
    for _ in 0..3 {
        bench.keyring.supply(&need("CERT-1")).await.unwrap();
    }
    assert_eq!(server.requests(), 1);
    let seen = server.seen().remove(0);
    assert_eq!((&*seen.method, &*seen.target), ("GET", "/v1/notifications/certs/CERT-1"));
    assert!(seen.header("user-agent").unwrap().starts_with("Hookgate/"));

    let text = bench.keyring.certificate(&url("CERT-1")).unwrap();
    let rules =
        CertificateRules { names: vec!["messageverificationcerts.example.com".to_owned()], chain: true };
    let key = public_key(&text, &rules, bench.keyring.anchors(), bench.now()).unwrap();
    assert_eq!(key, PublicKey::from_pem(made("public", "rsa").as_bytes()).unwrap());
    assert!(!key.verify(SignatureScheme::RsaSha256, b"", b""));
    assert_eq!(bench.keyring.certificate(&url("CERT-2")), None, "another URL is another certificate");
}

#[tokio::test]
async fn needs_of_the_same_moment_are_one_fetch() {
    let slow = Answer::status(200).body(good()).after(std::time::Duration::from_millis(200));
    let server = FaultyServer::start(move |_| slow.clone().into()).await;
    let bench = Bench::before(&server, &[HOST]);
    assert!(bench.crowd(&need("CERT-1")).await.iter().all(Result::is_ok));
    assert_eq!(server.requests(), 1);
}

#[tokio::test]
async fn a_need_whose_request_went_away_leaves_its_turn_to_the_next() {
    let server = FaultyServer::start(|seen| if seen.number == 1 { Act::Silence } else { ok(good()) }).await;
    let bench = Bench::before(&server, &[HOST]);
    let needed = need("CERT-1");
    let mut first = Box::pin(bench.keyring.supply(&needed));
    while server.requests() == 0 {
        tokio::select! {
            biased;
            result = &mut first => panic!("{result:?}"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(first);
    bench.keyring.supply(&needed).await.unwrap();
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_failure_is_answered_from_memory_until_its_pause_is_over() {
    let server =
        FaultyServer::start(|seen| if seen.number < 3 { Answer::status(500).into() } else { ok(good()) })
            .await;
    let bench = Bench::before(&server, &[HOST]);
    let expected = Err(error(Kind::Certificate, HOST, Reason::Status(500)));
    assert!(bench.crowd(&need("C")).await.iter().all(|result| *result == expected));
    assert_eq!(server.requests(), 1, "those who waited do not try again");
    bench.pass(4);
    assert_eq!(bench.keyring.supply(&need("C")).await, expected);
    assert_eq!(server.requests(), 1);
    bench.pass(1);
    assert_eq!(bench.keyring.supply(&need("C")).await, expected);
    bench.pass(9);
    assert_eq!(bench.keyring.supply(&need("C")).await, expected);
    assert_eq!(server.requests(), 2, "the second pause is longer");
    bench.pass(1);
    assert_eq!(bench.keyring.supply(&need("C")).await, Ok(()));
    assert!(bench.keyring.certificate(&url("C")).is_some());
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let elsewhere = FaultyServer::start(|_| ok(good())).await;
    let target = elsewhere.url.join("/CERT-1").unwrap();
    for status in [301, 302, 303, 307, 308] {
        let answer = Answer::status(status).header("Location", target.as_str());
        let server = FaultyServer::start(move |_| answer.clone().into()).await;
        let bench = Bench::before(&server, &[HOST]);
        assert_eq!(reason(bench.keyring.supply(&need("C")).await), Reason::Status(status));
    }
    assert_eq!(elsewhere.requests(), 0);
}

#[tokio::test]
async fn answers_that_are_too_long_broken_or_something_else_are_refused() {
    let padded = |length: usize| {
        let pem = good();
        format!("{}{pem}", "#".repeat(length - pem.len()))
    };
    let endless = format!("{:x}\r\n{}\r\n", 70_000, "x".repeat(70_000));
    for (act, expected) in [
        (ok(padded(64 * 1024)), None),
        (ok(padded(64 * 1024 + 1)), Some(Reason::TooLong)),
        (Answer::status(200).body(endless).chunked().into(), Some(Reason::TooLong)),
        (Answer::status(200).body(good()).gzip().into(), Some(Reason::Content)),
        (ok("<html>Please sign in</html>"), Some(Reason::Content)),
        (ok(""), Some(Reason::Content)),
        (ok(made("keys", "rsa")), Some(Reason::Content)),
        (Answer::status(204).into(), Some(Reason::Status(204))),
        (Answer::status(404).body(good()).into(), Some(Reason::Status(404))),
        (Act::CutBody, Some(Reason::Broken)),
        (Act::HangUp, Some(Reason::Broken)),
        (Act::Garbage, Some(Reason::Broken)),
    ] {
        let label = format!("{act:?}").chars().take(80).collect::<String>();
        let server = FaultyServer::start(move |_| act.clone()).await;
        let bench = Bench::before(&server, &[HOST]);
        let result = bench.keyring.supply(&need("C")).await;
        assert_eq!(result.clone().err().map(|_| reason(result)), expected, "{label}");
        assert_eq!(bench.keyring.certificate(&url("C")).is_some(), expected.is_none(), "{label}");
    }
}

#[tokio::test]
async fn a_silent_server_costs_five_seconds_once() {
    let silent = FaultyServer::start(|_| Act::Silence).await;
    let stalling = FaultyServer::start(|_| Act::StallBody).await;
    let benches = [Bench::before(&silent, &[HOST]), Bench::before(&stalling, &[HOST])];
    let start = Instant::now();
    let needed = need("C");
    let results = join_all(benches.iter().map(|bench| bench.crowd(&needed))).await;
    let took = start.elapsed().as_secs_f64();
    assert!(took >= 4.5, "{took}");
    for result in results.into_iter().flatten() {
        assert_eq!(reason(result), Reason::Timeout);
    }
    assert_eq!((silent.requests(), stalling.requests()), (1, 1));
}

#[tokio::test]
async fn without_https_only_this_machine_is_asked() {
    let bench = Bench::new(KeyringSettings::default());
    for url in ["http://api.paypal.com/c.pem", "http://10.0.0.1/c.pem", "ftp://127.0.0.1/c.pem"] {
        let result = bench.keyring.supply(&Needed::Certificate(Url::parse(url).unwrap())).await;
        assert_eq!(reason(result), Reason::Insecure, "{url}");
    }
    let server = FaultyServer::start(|_| ok(good())).await;
    let here = server.url.join("/c.pem").unwrap();
    assert_eq!(bench.keyring.supply(&Needed::Certificate(here)).await, Ok(()));
    drop(server);
    let gone = Url::parse("http://127.0.0.1:1/c.pem").unwrap();
    assert_eq!(reason(bench.keyring.supply(&Needed::Certificate(gone)).await), Reason::Connect);
}

#[tokio::test]
async fn made_up_names_do_not_become_a_flood_nor_push_out_what_is_known() {
    let server = FaultyServer::start(|seen| match &*seen.target {
        "/v1/notifications/certs/CERT-1" => ok(good()),
        _ => Answer::status(404).into(),
    })
    .await;
    let bench = Bench::before(&server, &[HOST]);
    bench.keyring.supply(&need("CERT-1")).await.unwrap();
    let needs: Vec<_> = (0..2000).map(|number| need(&format!("made-up-{number}"))).collect();
    let results = join_all(needs.iter().map(|needed| bench.keyring.supply(needed))).await;
    assert_eq!(server.requests(), 10);
    let floods = results.iter().filter(
        |result| matches!(result, Err(KeyringError::Flood { kind: Kind::Certificate, host }) if host == HOST),
    );
    assert_eq!(floods.count(), 2000 - 9);
    assert!(bench.keyring.certificate(&url("CERT-1")).is_some());
    assert!(server.most_in_flight() <= 16);

    bench.pass(DAY);
    join_all(needs.iter().map(|needed| bench.keyring.supply(needed))).await;
    let before = server.requests();
    assert_eq!(bench.keyring.supply(&need("CERT-1")).await, Ok(()), "what is known is renewed all the same");
    assert_eq!(server.requests(), before + 1);
}

#[tokio::test]
async fn a_certificate_is_renewed_after_a_day_and_serves_on_for_one_if_that_fails() {
    let server = FaultyServer::start(|seen| if seen.number == 2 { Act::HangUp } else { ok(good()) }).await;
    let bench = Bench::before(&server, &[HOST]);
    let known = || bench.keyring.certificate(&url("C")).is_some();
    bench.keyring.supply(&need("C")).await.unwrap();
    bench.pass(DAY - 1);
    assert!(known());
    bench.pass(1);
    assert!(!known(), "so that it is asked for");
    assert_eq!(bench.keyring.supply(&need("C")).await, Ok(()), "the old one serves");
    assert!(known());
    assert_eq!(server.requests(), 2);
    bench.pass(5);
    assert!(!known());
    bench.keyring.supply(&need("C")).await.unwrap();
    assert_eq!(server.requests(), 3);
    bench.pass(DAY);
    drop(server);
    assert_eq!(bench.keyring.supply(&need("C")).await, Ok(()), "as long as it may");
    bench.pass(DAY + 1);
    assert_eq!(reason(bench.keyring.supply(&need("C")).await), Reason::Connect);
    assert!(!known());
}

#[tokio::test]
async fn an_expired_certificate_is_not_fetched_for_every_request() {
    let server = FaultyServer::start(|_| ok(made("certificates", "expired"))).await;
    let bench = Bench::before(&server, &[HOST]);
    for _ in 0..10 {
        bench.keyring.supply(&need("C")).await.unwrap();
        assert!(bench.keyring.certificate(&url("C")).is_some(), "the scheme says what is wrong with it");
    }
    bench.pass(300);
    bench.keyring.supply(&need("C")).await.unwrap();
    assert_eq!(server.requests(), 2);
}

#[tokio::test]
async fn a_file_without_certificates_is_told_by_its_name() {
    let server = FaultyServer::start(|_| ok(good())).await;
    let empty = file("nothing here");
    let missing = std::path::PathBuf::from("/does/not/exist.pem");
    for path in [empty.path().to_owned(), missing] {
        let settings = KeyringSettings { extra_roots: Some(path.clone()), ..KeyringSettings::default() };
        let expected = KeyringError::File { path };
        let bench = Bench::new(KeyringSettings { url_overrides: overrides(&server, &[HOST]), ..settings });
        assert_eq!(bench.keyring.load_roots().await, Err(expected.clone()));
        assert_eq!(bench.keyring.supply(&need("C")).await, Err(expected));
    }
    assert_eq!(server.requests(), 0);
}
