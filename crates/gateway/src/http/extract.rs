//! What handlers take out of a request: who is asking, and the id in the path.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

use crate::app::App;
use crate::contract::View;
use crate::error::ApiError;
use crate::faults::Fired;
use crate::state::State;
use crate::tenant::{AccountId, Tenant};

/// Who is asking, and through which face.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: Tenant,
    pub(crate) account: AccountId,
    pub(crate) view: View,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let who = app.keys.identify(&parts.headers)?;
        let (tenant, key, account) = (who.tenant, who.key, who.account);
        app.metrics.meet(tenant, who.name);
        app.journal.meet(tenant, key, who.name, who.user.as_deref());
        // Every route has one.
        let view = parts.extensions.get::<View>().copied().unwrap_or(View::OpenAi);
        Ok(Caller { tenant, account, view })
    }
}

/// The state, as this request finds it: what strikes the request strikes it there.
pub(crate) struct Kept(pub(crate) Arc<dyn State>);

impl FromRequestParts<Arc<App>> for Kept {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Infallible> {
        Ok(Kept(match (parts.extensions.get::<Fired>(), &app.masks) {
            (Some(fired), Some(masks)) => masks.over(&app.bare, fired.clone()),
            _ => Arc::clone(&app.state),
        }))
    }
}

/// The id that the answer has as `x-request-id`, in the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) struct RequestId(pub(crate) String);

/// The id in the path, whatever a client put there.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(ApiError::new(StatusCode::NOT_FOUND, "No such object: the id is not valid UTF-8."))
            }
            Err(_) => Err(ApiError::new(StatusCode::NOT_FOUND, "No such object.")),
        }
    }
}
