//! Every answer of the provider shows its clock.

use aws_sdk_s3::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;

use crate::clock::SeenClock;

/// Looks at every answer on its way in.
#[derive(Debug)]
pub(crate) struct Watch(pub(crate) std::sync::Arc<SeenClock>);

impl Intercept for Watch {
    fn name(&self) -> &'static str {
        "the provider's clock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.0.see(date);
        }
        Ok(())
    }
}
