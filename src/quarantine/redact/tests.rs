//! Nothing secret is seen, and the exact request comes back.

use super::*;

fn key() -> MasterKey {
    MasterKey::parse(MasterKey::generate().expose_secret()).unwrap()
}

fn suspect() -> Suspect {
    let headers: [(&str, &[u8]); 4] = [
        ("x-token", b"header-canary"),
        ("x-signature", b"sha256=00"),
        ("cookie", b"cookie-canary"),
        ("x-odd", b"\xff\xfe"),
    ];
    Suspect {
        provider: "acme".to_owned(),
        reason: "mismatch",
        steps: vec![Step {
            check: "signed bytes".to_owned(),
            ok: true,
            detail: "with the URL https://h/p/path-canary?token=query%2Dcanary&a=1".to_owned(),
        }],
        request: OwnedRequest {
            method: "POST".to_owned(),
            bases: vec!["https://h".to_owned()],
            path: "/p/path-canary".to_owned(),
            path_token: Some("path-canary".to_owned()),
            query: "a=1&token=query%2Dcanary&b".to_owned(),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_vec())).to_vec(),
            body: Bytes::from_static(b"body\x00"),
        },
        secret_headers: vec!["x-token".to_owned()],
        private_headers: vec!["cookie".to_owned()],
        secret_parameters: vec!["token".to_owned()],
        received_at: Utc::now(),
    }
}

fn visible(row: &Row) -> String {
    format!("{} {} {} {} {}", row.steps, row.path, row.query, row.headers, row.bases)
}

fn request(row: &Row) -> OwnedRequest {
    let headers = row.headers.as_array().unwrap();
    OwnedRequest {
        method: row.method.clone(),
        bases: serde_json::from_value(row.bases.clone()).unwrap(),
        path: row.path.clone(),
        path_token: None,
        query: row.query.clone(),
        headers: headers
            .iter()
            .map(|pair| (pair[0].as_str().unwrap().to_owned(), unshown(&pair[1])))
            .collect(),
        body: row.body.clone(),
    }
}

#[test]
fn no_secret_can_be_seen_and_the_exact_request_comes_back() {
    let key = key();
    let row = Row::new(&suspect(), Some(&key));
    let text = visible(&row);
    assert!(!text.contains("canary") && text.contains("sha256=00"), "{text}");
    assert_eq!(row.query, "a=1&token=[redacted]&b");
    assert_eq!((row.path.as_str(), row.proof_kept), ("/p", true));
    let back = reassemble(row.id, request(&row), row.sealed.as_deref(), Some(&key)).unwrap();
    let original = suspect().request;
    assert_eq!(format!("{back:?}"), format!("{original:?}"));
    assert!(reassemble(row.id, request(&row), row.sealed.as_deref(), None).is_none());
    assert!(reassemble(Uuid::nil(), request(&row), row.sealed.as_deref(), Some(&key)).is_none());
}

#[test]
fn without_a_key_the_proof_is_gone_and_says_so() {
    let row = Row::new(&suspect(), None);
    assert!(row.sealed.is_none() && !row.proof_kept && !visible(&row).contains("canary"));
    let mut signed = suspect();
    signed.secret_headers.clear();
    signed.secret_parameters.clear();
    signed.request.path_token = None;
    assert!(Row::new(&signed, None).proof_kept, "a cookie proves nothing");
}

#[test]
fn the_fingerprint_tells_requests_that_differ_anywhere() {
    let key = key();
    let of = |change: &dyn Fn(&mut Suspect)| {
        let mut suspect = suspect();
        change(&mut suspect);
        Row::new(&suspect, Some(&key)).fingerprint
    };
    let same = of(&|_| {});
    assert_eq!(of(&|_| {}), same);
    let changes: [&dyn Fn(&mut Suspect); 6] = [
        &|suspect| suspect.reason = "expired",
        &|suspect| suspect.request.body = Bytes::from_static(b"body"),
        &|suspect| suspect.request.query.push('x'),
        &|suspect| suspect.request.path.push('x'),
        &|suspect| suspect.request.headers[0].1.push(b'x'),
        &|suspect| suspect.request.headers.swap(0, 1),
    ];
    for change in changes {
        assert_ne!(of(change), same);
    }
}

#[test]
fn long_steps_are_cut_between_characters() {
    let step = Step { check: "x".to_owned(), ok: false, detail: "é".repeat(5000) };
    let told = told(&vec![step; 500], &[]);
    assert_eq!(told.as_array().unwrap().len(), MAX_STEPS);
    assert!(told[0]["detail"].as_str().unwrap().len() <= MAX_DETAIL + 3);
}
