//! Evidence that answers everything, so that verifiers get as far as they can.

use crate::testdata;
use bytes::Bytes;
use hookgate::providers::evidence::{Evidence, KeyLocation, Postback};
use hookgate::providers::proof::certificate::Anchors;
use hookgate::providers::proof::jwt::KeySet;
use serde_json::json;
use std::sync::{Arc, OnceLock};
use url::Url;

/// A good certificate at every URL, a key for every id; no postback is confirmed.
pub struct Known {
    anchors: Anchors,
    chain: Bytes,
}

/// The same for all runs.
pub fn evidence() -> &'static Known {
    static KNOWN: OnceLock<Known> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut anchors = Anchors::default();
        anchors.add_roots_pem(testdata::text("certificates", "root").as_bytes()).expect("a root");
        let chain = [testdata::text("certificates", "good"), testdata::text("certificates", "intermediate")];
        Known { anchors, chain: chain.join("\n").into() }
    })
}

impl Evidence for Known {
    fn certificate(&self, _: &Url) -> Option<Bytes> {
        Some(self.chain.clone())
    }

    fn keys(&self, _: &KeyLocation, kid: &str) -> Option<Arc<KeySet>> {
        let set = json!({"keys": [testdata::jwk("rsa", kid), testdata::jwk("p256", kid)]});
        KeySet::parse(set.to_string().as_bytes()).ok().map(Arc::new)
    }

    fn verdict(&self, _: &Postback) -> Option<bool> {
        Some(false)
    }

    fn anchors(&self) -> &Anchors {
        &self.anchors
    }
}
