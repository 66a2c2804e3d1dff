//! SIGTERM: not ready at once, still there for the delay, and gone with exit code 0.

use std::pin::pin;
use std::sync::Arc;

use anyhow::{bail, ensure};
use pharos_e2e::stage::{PATIENCE, Stage};
use pharos_e2e::traffic::{Created, Traffic};
use pharos_testkit::{Pharos, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_leaves_says_so_first_and_still_answers() -> anyhow::Result<()> {
    let stage = Arc::new(Stage::set().await?);
    let pharos =
        Pharos::builder(&stage.cluster).arguments(&["--shutdown-delay", "10"]).start().await?;
    stage.webhook_in_force().await?;
    let traffic = Traffic::start(&stage, "before");
    eventually("reviews to arrive", PATIENCE, async || {
        let answered = stage.reviews_answered().await.map_err(|error| error.to_string())?;
        if answered > 100.0 { Ok(()) } else { Err(format!("{answered} reviews")) }
    })
    .await?;

    let readyz = pharos.admin_url("/readyz");
    let mut leaving = pin!(pharos.terminate(PATIENCE));
    let created = tokio::select! {
        status = &mut leaving => bail!("it did not wait for the delay: {status:?}"),
        created = still_answering(&stage, traffic, &readyz) => created?,
    };
    let status = leaving.await?;
    ensure!(status.success(), "pharos ended with {status}");
    println!("{created:?}, before and after SIGTERM");
    Ok(())
}

/// Waits until it is no longer ready, and then until more reviews were answered.
async fn still_answering(stage: &Stage, traffic: Traffic, readyz: &str) -> anyhow::Result<Created> {
    eventually("it to be no longer ready", PATIENCE, async || {
        let answer = reqwest::get(readyz).await.map_err(|error| error.to_string())?;
        if answer.status() == 503 { Ok(()) } else { Err(answer.status().to_string()) }
    })
    .await?;
    let before = stage.reviews_answered().await?;
    eventually("more reviews to be answered", PATIENCE, async || {
        let answered = stage.reviews_answered().await.map_err(|error| error.to_string())?;
        if answered > before + 100.0 { Ok(()) } else { Err(format!("{answered} reviews")) }
    })
    .await?;
    traffic.stop().await
}
