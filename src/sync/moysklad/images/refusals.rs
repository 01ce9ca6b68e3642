//! What a refused request says: that one image is at fault, or that the child takes none now (facts/moysklad.md 4.8).

use crate::queue::HandlerError;
use crate::sync::moysklad::api::ApiError;

/// What is wrong with an image, if that is why the request was refused (facts/moysklad.md 4.8).
pub(super) fn fault(error: &ApiError) -> Option<String> {
    let ApiError::Work(HandlerError::GiveUp(text)) = error else { return None };
    let why = match error.code() {
        Some(51_001) => "it has no content",
        Some(51_002) => "it is no jpg or png",
        Some(51_004) => "it is too large for MoySklad",
        Some(51_005) => "it has no name",
        Some(51_006) => "there are too many",
        Some(1044) => "it is too large for a request",
        _ if text.ends_with(" answered 413") => return Some("it is too large for a request".to_owned()),
        _ => return None,
    };
    Some(error.code().map_or_else(|| why.to_owned(), |code| format!("{why} (code {code})")))
}

/// What to do about the rest.
pub(super) fn advised(error: ApiError) -> ApiError {
    match &error {
        ApiError::Work(HandlerError::GiveUp(text)) => match error.code() {
            Some(51_003) => HandlerError::GiveUp(format!(
                "{text}: the child's storage is full; make room there, then retry"
            ))
            .into(),
            // MoySklad's own storage is away.
            Some(51_007) => HandlerError::Retry(text.clone()).into(),
            _ => error,
        },
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(code: u64) -> ApiError {
        HandlerError::GiveUp(format!("moysklad: POST x answered 412 (code {code})")).into()
    }

    #[test]
    fn an_image_at_fault_is_told_from_a_child_that_takes_none() {
        assert_eq!(fault(&refusal(51_004)).unwrap(), "it is too large for MoySklad (code 51004)");
        assert!(fault(&refusal(51_002)).is_some() && fault(&refusal(1044)).is_some());
        for code in [51_003, 51_007, 1021, 3000] {
            assert!(fault(&refusal(code)).is_none(), "{code}");
        }
        assert!(fault(&HandlerError::GiveUp("POST x answered 413".to_owned()).into()).is_some());
        assert!(fault(&HandlerError::Retry("x (code 51004)".to_owned()).into()).is_none());
        assert!(matches!(advised(refusal(51_007)), ApiError::Work(HandlerError::Retry(_))));
        assert!(advised(refusal(51_003)).to_string().contains("make room"));
    }
}
