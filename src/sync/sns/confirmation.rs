//! Which request to confirm a subscription is followed, and to where (facts/providers.md F, AWS SNS).

use crate::config;
use serde::Deserialize;
use url::Url;

/// A subscription that may be confirmed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Confirmation {
    /// ARN of the topic.
    pub(super) topic: String,
    /// Where to confirm it.
    pub(super) origin: Url,
    /// Shows SNS that the message arrived.
    pub(super) token: String,
}

/// Why a subscription is not confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    /// The topic is not in the settings.
    #[error("not confirmed: {topic} is not in SNS_TOPIC_ARNS; if it is yours, add it and replay the event")]
    NotAllowed {
        /// The topic's ARN, or words for it where it has not the form of one.
        topic: String,
    },
    /// A field is missing or of another form.
    #[error("the field `{0}` of the message has not the form that SNS documents")]
    Form(&'static str),
    /// The URL leads elsewhere.
    #[error("not confirmed: SubscribeURL {0}")]
    Url(&'static str),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Message {
    topic_arn: String,
    #[serde(rename = "SubscribeURL")]
    subscribe_url: String,
}

impl Confirmation {
    /// Checks a message of the type `SubscriptionConfirmation`, whose signature was checked before.
    pub(super) fn read(body: &[u8], settings: &config::Sns) -> Result<Self, Refusal> {
        let message: Message =
            serde_json::from_slice(body).map_err(|_| Refusal::Form("TopicArn or SubscribeURL"))?;
        let topic = message.topic_arn;
        let region = region_of(&topic);
        if !settings.topic_arns.contains(&topic) {
            let topic = if region.is_some() { topic } else { "its topic".to_owned() };
            return Err(Refusal::NotAllowed { topic });
        }
        let region = region.ok_or(Refusal::Form("TopicArn"))?;
        let url = Url::parse(&message.subscribe_url).map_err(|_| Refusal::Form("SubscribeURL"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(Refusal::Url("holds a user's name"));
        }
        match &settings.base_url {
            Some(base) if base.origin() == url.origin() => {}
            Some(_) => return Err(Refusal::Url("is not at SNS_BASE_URL")),
            None => is_amazons(&url, region)?,
        }
        let parameter = |name: &str| {
            let mut values = url.query_pairs().filter(|pair| pair.0 == name);
            match (values.next(), values.next()) {
                (Some(pair), None) => Some(pair.1.into_owned()),
                _ => None,
            }
        };
        if parameter("Action").as_deref() != Some("ConfirmSubscription") {
            return Err(Refusal::Url("asks for something else than ConfirmSubscription"));
        }
        if parameter("TopicArn").as_deref() != Some(&*topic) {
            return Err(Refusal::Url("is about another topic"));
        }
        let token = parameter("Token").filter(|token| (1..=4096).contains(&token.len()));
        let token = token.ok_or(Refusal::Url("holds no token"))?;
        let mut origin = url.clone();
        origin.set_query(None);
        origin.set_fragment(None);
        origin.set_path("/");
        Ok(Self { topic, origin, token })
    }
}

/// The region of `arn:aws:sns:REGION:ACCOUNT:NAME`; `None` if it is no ARN of a topic.
fn region_of(arn: &str) -> Option<&str> {
    let parts: Vec<&str> = arn.split(':').collect();
    let &["arn", partition, "sns", region, account, name] = parts.as_slice() else { return None };
    let plain = |text: &str, more: &[u8]| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    let good = partition.starts_with("aws")
        && plain(partition, b"-")
        && plain(region, b"-")
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && name.len() <= 256
        && plain(name, b"-_.");
    good.then_some(region)
}

/// `https://sns.REGION.amazonaws.com[.cn]`, nothing else. The region's form keeps other names of Amazon's customers out.
fn is_amazons(url: &Url, region: &str) -> Result<(), Refusal> {
    if url.scheme() != "https" {
        return Err(Refusal::Url("is not https"));
    }
    if url.port().is_some() {
        return Err(Refusal::Url("names a port"));
    }
    let host = url.host_str().unwrap_or_default();
    let domain = host.strip_suffix(".cn").unwrap_or(host);
    let own = domain.strip_prefix("sns.").and_then(|rest| rest.strip_suffix(".amazonaws.com"));
    let form = |text: &str| {
        text.len() >= 3
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
    };
    match own {
        Some(own) if form(own) && own == region => Ok(()),
        _ => Err(Refusal::Url("is not at the SNS host of the topic's region")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TOPIC: &str = "arn:aws:sns:us-west-2:123456789012:MyTopic";
    const QUERY: &str =
        "Action=ConfirmSubscription&TopicArn=arn:aws:sns:us-west-2:123456789012:MyTopic&Token=2336";

    fn settings(base_url: Option<&str>) -> config::Sns {
        let base_url = base_url.map(|url| Url::parse(url).unwrap());
        config::Sns { topic_arns: vec!["arn:aws:sns:eu-west-1:1:x".to_owned(), TOPIC.to_owned()], base_url }
    }

    fn read(url: &str) -> Result<Confirmation, Refusal> {
        read_with(url, TOPIC, &settings(None))
    }

    fn read_with(url: &str, topic: &str, settings: &config::Sns) -> Result<Confirmation, Refusal> {
        let body = json!({"Type": "SubscriptionConfirmation", "TopicArn": topic, "SubscribeURL": url});
        Confirmation::read(body.to_string().as_bytes(), settings)
    }

    #[test]
    fn an_allowed_topic_is_confirmed_at_its_own_host() {
        let confirmation = read(&format!("https://sns.us-west-2.amazonaws.com/?{QUERY}")).unwrap();
        assert_eq!(confirmation.origin.as_str(), "https://sns.us-west-2.amazonaws.com/");
        assert_eq!((&*confirmation.topic, &*confirmation.token), (TOPIC, "2336"));
        assert!(read(&format!("https://SNS.us-west-2.amazonaws.com:443/?{QUERY}")).is_ok());
        assert!(read(&format!("https://sns.us-west-2.amazonaws.com.cn/?{QUERY}")).is_ok());
    }

    #[test]
    fn no_other_address_is_called() {
        for host in [
            "http://sns.us-west-2.amazonaws.com",
            "https://sns.us-west-2.amazonaws.com:8443",
            "https://user@sns.us-west-2.amazonaws.com",
            "https://user:word@sns.us-west-2.amazonaws.com",
            "https://sns.us-west-2.amazonaws.com.evil.example",
            "https://sns.us-west-2.evil.example",
            "https://evil.example/sns.us-west-2.amazonaws.com",
            "https://evil.example#sns.us-west-2.amazonaws.com",
            "https://sns.eu-west-1.amazonaws.com",
            "https://sns.x.us-west-2.amazonaws.com",
            "https://xsns.us-west-2.amazonaws.com",
            "https://sns.us-west-2.amazonaws.com.cn.cn",
            "https://sns.us-west-2.amazonaws.com.",
            "https://sns..amazonaws.com",
            "https://169.254.169.254",
            "https://[::1]",
            "ftp://sns.us-west-2.amazonaws.com",
            "file://",
        ] {
            assert!(
                matches!(read(&format!("{host}/?{QUERY}")), Err(Refusal::Url(_) | Refusal::Form(_))),
                "{host}"
            );
        }
        assert_eq!(read("not a url"), Err(Refusal::Form("SubscribeURL")));
    }

    #[test]
    fn nothing_but_the_confirmation_of_this_topic_is_asked() {
        for query in [
            QUERY.replace("ConfirmSubscription", "DeleteTopic"),
            QUERY.replace("MyTopic", "Other"),
            QUERY.replace("&Token=2336", ""),
            QUERY.replace("2336", ""),
            format!("{QUERY}&Action=DeleteTopic"),
            format!("{QUERY}&Token=1"),
            String::new(),
        ] {
            let url = format!("https://sns.us-west-2.amazonaws.com/?{query}");
            assert!(matches!(read(&url), Err(Refusal::Url(_))), "{query}");
        }
    }

    #[test]
    fn a_topic_that_is_not_named_is_not_confirmed_and_the_remedy_is_told() {
        let url = format!("https://sns.us-west-2.amazonaws.com/?{QUERY}");
        let none = config::Sns { topic_arns: Vec::new(), base_url: None };
        let refusal = read_with(&url, TOPIC, &none).unwrap_err().to_string();
        assert!(refusal.contains(TOPIC) && refusal.contains("SNS_TOPIC_ARNS"), "{refusal}");
        let odd = read_with(&url, "Ana <ana@example.com>", &none).unwrap_err().to_string();
        assert!(!odd.contains("ana@"), "{odd}");
        let unformed = config::Sns { topic_arns: vec!["topic".to_owned()], base_url: None };
        assert_eq!(read_with(&url, "topic", &unformed), Err(Refusal::Form("TopicArn")));
    }

    #[test]
    fn a_simulator_stands_in_for_the_hosts_and_for_nothing_else() {
        let settings = settings(Some("http://127.0.0.1:9000"));
        assert!(read_with(&format!("http://127.0.0.1:9000/?{QUERY}"), TOPIC, &settings).is_ok());
        for url in [
            format!("http://127.0.0.1:9001/?{QUERY}"),
            format!("https://127.0.0.1:9000/?{QUERY}"),
            format!("http://u@127.0.0.1:9000/?{QUERY}"),
            format!("https://sns.us-west-2.amazonaws.com/?{QUERY}"),
        ] {
            assert!(matches!(read_with(&url, TOPIC, &settings), Err(Refusal::Url(_))), "{url}");
        }
    }
}
