//! Pages of a list, and the walk from one to the next, which ends when a service starts again.

use std::{collections::HashSet, future::Future};

use futures_util::{Stream, StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, field::Field};

/// A page of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Page<T> {
    /// What is on it, in the service's order.
    pub data: Vec<T>,
    /// The id of the first of them, as the service says it.
    pub first_id: Option<String>,
    /// The id of the last of them, as the service says it. To go on, use the id of the last of [`data`](Self::data).
    pub last_id: Option<String>,
    /// Whether there is a page after this one. A service that does not say has one after every page that is not empty.
    pub has_more: bool,
}

/// The fields of a page on the wire.
pub(crate) struct WirePage {
    pub(crate) data: Option<Value>,
    pub(crate) first_id: Option<Value>,
    pub(crate) last_id: Option<Value>,
    pub(crate) has_more: Option<Value>,
}

impl<T> Page<T> {
    pub(crate) fn read<W: serde::de::DeserializeOwned>(
        wire: WirePage,
        read: impl Fn(&str, W) -> Result<T, Error>,
    ) -> Result<Self, Error> {
        let field = |name, value| Field::new("list", name, value);
        let data = field("data", wire.data)
            .list()?
            .ok_or_else(|| Error::undecodable("list.data: it is missing: this is no list"))?
            .into_iter()
            .filter_map(|(at, entry)| Field::named(at, entry).object().transpose())
            .map(|entry| entry.and_then(|(at, wire)| read(&at, wire)))
            .collect::<Result<Vec<T>, Error>>()?;
        Ok(Self {
            first_id: field("first_id", wire.first_id).text()?,
            last_id: field("last_id", wire.last_id).text()?,
            has_more: field("has_more", wire.has_more).flag()?.unwrap_or(!data.is_empty()),
            data,
        })
    }
}

/// Every element of a list, page by page, following the id of the last element as openai-python does.
pub(crate) fn pages<T, F, Fut>(
    fetch: F,
    start: Option<String>,
    id: impl Fn(&T) -> &str + Send + Clone,
) -> impl Stream<Item = Result<T, Error>> + Send
where
    T: Send,
    F: FnMut(Option<String>) -> Fut + Send,
    Fut: Future<Output = Result<Page<T>, Error>> + Send,
{
    let cursors: HashSet<String> = start.iter().cloned().collect();
    let state = Some((fetch, start, cursors, HashSet::new()));
    stream::try_unfold(state, move |state| {
        let id = id.clone();
        async move {
            let Some((mut fetch, after, mut cursors, mut seen)) = state else { return Ok(None) };
            let page = fetch(after.clone()).await?;
            let mut new = 0;
            for entry in &page.data {
                new += usize::from(seen.insert(id(entry).to_owned()));
            }
            let last = page.data.last().map(|last| id(last).to_owned());
            let next = last.filter(|_| page.has_more);
            // Some servers answer an unknown or stale cursor with the first page, in any order: following it would
            // never end.
            let repeated = next.as_ref().is_some_and(|next| !cursors.insert(next.clone()));
            if repeated || (new == 0 && !page.data.is_empty()) {
                return Err(Error::undecodable(format!(
                    "the list does not end: the page after {:?} brings what was there before; \
                     the service does not follow its own cursor",
                    after.unwrap_or_default()
                )));
            }
            let state = next.map(|next| (fetch, Some(next), cursors, seen));
            Ok(Some((stream::iter(page.data).map(Ok), state)))
        }
    })
    .try_flatten()
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    fn page(ids: &[&str], has_more: bool) -> Page<String> {
        Page { data: ids.iter().map(|id| (*id).to_owned()).collect(), first_id: None, last_id: None, has_more }
    }

    async fn collect(pages_of: Vec<Page<String>>) -> Result<Vec<String>, Error> {
        let mut pages_of = pages_of.into_iter().cycle();
        let fetch = move |_after| ready(Ok(pages_of.next().unwrap()));
        pages(fetch, None, String::as_str).try_collect().await
    }

    #[tokio::test]
    async fn ends_on_the_last_page_or_an_empty_one() {
        let all = collect(vec![page(&["a", "b"], true), page(&["c"], false)]).await.unwrap();
        assert_eq!(all, ["a", "b", "c"]);
        let all = collect(vec![page(&["a"], true), page(&[], true)]).await.unwrap();
        assert_eq!(all, ["a"]);
    }

    #[tokio::test]
    async fn a_service_that_starts_again_is_an_error_and_no_loop() {
        let error = collect(vec![page(&["a"], true), page(&["b"], true)]).await.unwrap_err();
        assert!(error.is_undecodable() && error.to_string().contains("does not end"), "{error}");
        // The same page in another order, the same page as the last one, and a cursor that stands still.
        for pages in [
            vec![page(&["a", "b"], true), page(&["b", "a"], true)],
            vec![page(&["a", "b"], true), page(&["a", "b"], false)],
            vec![page(&["a", "b"], true), page(&["c", "b"], true), page(&["d", "b"], true)],
        ] {
            let error = collect(pages).await.unwrap_err();
            assert!(error.to_string().starts_with("the list does not end: the page after \"b\" brings"), "{error}");
        }
    }

    #[tokio::test]
    async fn a_page_that_overlaps_the_one_before_is_no_loop() {
        let all = collect(vec![page(&["a", "b"], true), page(&["b", "c"], false)]).await.unwrap();
        assert_eq!(all, ["a", "b", "b", "c"]);
    }
}
