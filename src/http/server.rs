//! The server: which routes there are and what surrounds them.

use super::rate_limit::RateLimits;
use super::receive_metrics::ReceiveMetrics;
use super::{
    AppState, Problem, accounts, events, extract, health, messages, payments, providers, quarantine, receive,
    request_id, sync_log, sync_queue,
};
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpResponse, HttpServer, web};
use std::net::SocketAddr;
use std::time::Duration;
use utoipa::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::service_config::ServiceConfig;
use utoipa_swagger_ui::SwaggerUi;

/// Which part of the gateway a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// Receives and works.
    All,
    /// Receives webhooks and answers the admin API.
    Receiver,
    /// Works on what was received; answers only health and metrics.
    Worker,
}

impl Role {
    /// Whether it receives webhooks.
    pub fn receives(self) -> bool {
        self != Self::Worker
    }

    /// Whether it works on what was received.
    pub fn works(self) -> bool {
        self != Self::Receiver
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Hookgate",
        description = "Receive any webhook once, prove it, keep it, act on it, and pass it on. Errors are RFC 9457 \
                       problem+json.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    paths(receive::receive),
    components(schemas(receive::Received)),
    tags(
        (name = "receiver", description = "Webhooks come in"),
        (name = "events", description = "What was received and what became of it"),
        (name = "providers", description = "Who may send, how it is proven, and which secret proved it"),
        (name = "quarantine", description = "What was not proven, or could not be read"),
        (name = "payments", description = "What payments came to, at every provider"),
        (name = "messages", description = "How far messages and push notifications have come, at every provider"),
        (name = "sync", description = "Units of upstream work that events set in motion"),
        (name = "moysklad", description = "Main and child accounts that are kept in step"),
        (name = "health", description = "For load balancers and Prometheus")
    )
)]
struct ApiDoc;

fn document() -> utoipa::openapi::OpenApi {
    let mut document = ApiDoc::openapi();
    let admin = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    document.components.get_or_insert_default().add_security_scheme("admin", admin);
    document
}

fn admin_routes(config: &mut ServiceConfig<'_>) {
    events::configure(config);
    payments::configure(config);
    messages::configure(config);
    sync_queue::configure(config);
    sync_log::configure(config);
    accounts::configure(config);
    providers::configure(config);
    quarantine::configure(config);
}

fn health_routes(config: &mut ServiceConfig<'_>) {
    config.service(health::live).service(health::ready).service(health::health).service(health::metrics);
}

/// The OpenAPI document, without a server.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let app =
        App::new().into_utoipa_app().openapi(document()).configure(health_routes).configure(admin_routes);
    app.split_for_parts().1
}

/// Binds and starts the server; gives it and the addresses it listens on.
pub fn start(state: AppState, role: Role) -> std::io::Result<(Server, Vec<SocketAddr>)> {
    let (host, port) = (state.settings.receiver.host, state.settings.receiver.port);
    let limits = web::Data::new(RateLimits::new(&state.settings.receiver));
    let metrics = web::Data::new(ReceiveMetrics::new(&state.providers.now()));
    let drain = state.settings.worker.drain;
    let state = web::Data::new(state);
    let server = HttpServer::new(move || {
        let app = App::new()
            .app_data(state.clone())
            .app_data(limits.clone())
            .app_data(metrics.clone())
            .app_data(extract::json())
            .app_data(extract::path())
            .wrap(from_fn(request_id::scope))
            .default_service(web::to(not_found))
            .into_utoipa_app()
            .openapi(document())
            .configure(health_routes);
        let app = if role.receives() {
            // Routes are tried one after another, each by a regular expression: the busiest stands first.
            app.map(|app| app.configure(receiver)).configure(admin_routes)
        } else {
            app
        };
        app.openapi_service(|api| SwaggerUi::new("/api/docs/{_:.*}").url("/api/openapi.json", api)).into_app()
    })
    // A client that does not finish its headers in this time holds a place for nothing.
    .client_request_timeout(Duration::from_secs(5))
    .client_disconnect_timeout(Duration::from_secs(1))
    .keep_alive(Duration::from_secs(75))
    .shutdown_timeout(drain.as_secs().max(1))
    .disable_signals()
    .bind((host, port))?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

fn receiver(config: &mut web::ServiceConfig) {
    // The alias without a version is what older receivers were registered under.
    for prefix in ["/api/v1/webhooks", "/api/webhooks"] {
        // A scope's prefix is compared as text, which leaves little for the expressions behind it.
        let mut scope = web::scope(prefix);
        for path in ["/{provider}", "/{provider}/{token}"] {
            scope = scope.service(
                web::resource(path)
                    .route(web::post().to(receive::receive))
                    // Challenges of providers that have some; any other is a wrong method.
                    .route(web::get().to(receive::receive))
                    .route(web::head().to(receive::receive))
                    .default_service(web::to(receive::wrong_method)),
            );
        }
        config.service(scope);
    }
    config.service(web::resource("/api/docs").route(web::get().to(|| async {
        HttpResponse::PermanentRedirect().insert_header(("Location", "/api/docs/")).finish()
    })));
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::NotFound("there is no such route".to_owned()))
}
