//! C2S: a lead arrives, its person is found and looked up at the Work API, and what was found is posted to the lead as
//! a message for the sellers, once.

mod api;
mod cache;
mod contact;
mod cpf;
mod cpf_text;
mod format;
mod lead;
mod ledger;
mod message;
mod names;
mod person;
mod phone;
mod places;
mod scalar;
mod search;
mod work_api;

use crate::config::Settings;
use crate::queue::{HandlerError, Outcome};
use crate::sync::{Context, Event, Handler};
use api::{C2sApi, LeadId};
use contact::{Contact, Fingerprint, mac};
use lead::Lead;
use ledger::State;
use person::Person;
use places::Places;
use search::Source;
use secrecy::ExposeSecret as _;
use std::sync::Arc;
use work_api::WorkApi;

/// Enriches the leads of C2S's events.
pub struct C2sHandler {
    /// What it works with, or why it does not.
    enricher: Result<Enricher, &'static str>,
}

impl C2sHandler {
    /// A handler for the settings. Without the tokens of both APIs it enriches nothing, and says so for each event.
    pub fn new(settings: &Settings) -> Self {
        Self { enricher: Enricher::new(settings) }
    }
}

#[async_trait::async_trait]
impl Handler for C2sHandler {
    fn provider(&self) -> &'static str {
        "c2s"
    }

    fn wants(&self, event_type: &str) -> bool {
        !matches!(event_type, "on_close_lead" | "lead.closed")
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        match &self.enricher {
            Ok(enricher) => enricher.enrich(event, cx).await,
            Err(reason) => Ok(not_enriched(reason)),
        }
    }
}

fn not_enriched(reason: &str) -> Outcome {
    Outcome::completed(format!("not_enriched: {reason}"))
}

struct Enricher {
    c2s: C2sApi,
    work: WorkApi,
    /// Key of the fingerprints where there is no master key.
    token_key: [u8; 32],
    places: Places,
}

const PURPOSE: &str = "c2s enrichment fingerprint";

impl Enricher {
    fn new(settings: &Settings) -> Result<Self, &'static str> {
        let work_token = settings.work_api.token.clone().ok_or("WORK_API is not set")?;
        let token = settings.c2s.token.as_ref().ok_or("C2S_TOKEN is not set")?;
        Ok(Self {
            c2s: C2sApi::new(&settings.c2s, token)
                .map_err(|_| "C2S_TOKEN holds characters that no header can")?,
            work: WorkApi::new(&settings.work_api, work_token),
            token_key: mac(token.expose_secret().as_bytes(), PURPOSE.as_bytes()),
            places: Places::new(settings.worker.concurrency),
        })
    }

    async fn enrich(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let id = event.subject.as_deref().and_then(LeadId::new).ok_or_else(|| {
            HandlerError::GiveUp("the lead's id holds `/` or `%`, which no C2S id does".to_owned())
        })?;
        let _place = self.places.take(rand::random()).map_err(|after| HandlerError::Defer {
            after,
            reason: "other leads are being enriched".to_owned(),
        })?;
        let contact = self.contact(event, &id).await?;
        if contact.is_blank() {
            return Ok(not_enriched("no contact data"));
        }
        // The master key is preferred because it outlives C2S's token: a new key makes every lead look new.
        let key = cx.master_key.as_ref().map_or(self.token_key, |master| master.derive(PURPOSE));
        let fingerprint = contact.fingerprint(&key, id.as_str());
        // Not in the head of the match: the connection would be held during the call in one of its arms.
        let state = ledger::state(&mut *cx.pool.get().await?, id.as_str(), &fingerprint).await?;
        match state {
            State::Posted => return Ok(Outcome::completed("already enriched for this contact")),
            State::Posting if self.has_arrived(&id, &fingerprint).await? => {
                ledger::posted(&mut *cx.pool.get().await?, id.as_str(), &fingerprint).await?;
                return Ok(Outcome::completed("enriched: the message of an interrupted attempt had arrived"));
            }
            State::Posting | State::Open => {}
        }
        let lookups = search::find(&self.work, &contact).await?;
        if lookups.is_empty() {
            return Ok(not_enriched("no CPF found"));
        }
        let mut people: Vec<(Arc<Person>, Source)> = Vec::new();
        for (cpf, source) in lookups {
            people.extend(self.work.person(cpf).await?.map(|person| (person, source)));
        }
        if people.is_empty() {
            return Ok(not_enriched("no person found for the CPF"));
        }
        let borrowed: Vec<_> = people.iter().map(|(person, source)| (&**person, *source)).collect();
        let text = message::compose(&borrowed, contact.name.as_deref(), &fingerprint);
        self.post(&id, &fingerprint, &text, cx).await?;
        let by = people.iter().map(|(_, source)| source.label()).collect::<Vec<_>>().join(" and ");
        Ok(Outcome::completed(format!("enriched: message posted (CPF by {by})")))
    }

    /// The contact that the event tells; where only an id came, the one that C2S tells.
    async fn contact(&self, event: &Event, id: &LeadId<'_>) -> Result<Contact, HandlerError> {
        let mut lead = Lead::read(&event.body, id.as_str());
        if !lead.has_customer {
            let body = self.c2s.lead(id).await.map_err(api::handler_error)?;
            lead = Lead::read(&body, id.as_str());
        }
        Ok(Contact::of(&lead))
    }

    /// Whether the lead shows the message already.
    async fn has_arrived(&self, id: &LeadId<'_>, fingerprint: &Fingerprint) -> Result<bool, HandlerError> {
        let body = self.c2s.lead(id).await.map_err(api::handler_error)?;
        let marker = message::marker(fingerprint);
        Ok(body.windows(marker.len()).any(|part| part == marker.as_bytes()))
    }

    /// Posts the message between two notes in the ledger, so that an attempt after a crash knows to look for it first.
    async fn post(
        &self,
        id: &LeadId<'_>,
        fingerprint: &Fingerprint,
        text: &str,
        cx: &Context,
    ) -> Result<(), HandlerError> {
        ledger::begin(&mut *cx.pool.get().await?, id.as_str(), fingerprint).await?;
        if let Err(error) = self.c2s.create_message(id, text).await {
            if api::was_refused(&error) {
                ledger::withdraw(&mut *cx.pool.get().await?, id.as_str(), fingerprint).await?;
            }
            return Err(api::handler_error(error));
        }
        ledger::posted(&mut *cx.pool.get().await?, id.as_str(), fingerprint).await?;
        Ok(())
    }
}
