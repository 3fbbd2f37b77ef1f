/** Shows the page of the present address. Pages are loaded when they are first gone to. */

import { Component } from "preact";
import { useEffect, useState } from "preact/hooks";

import { html } from "./html.js";
import { feedState, listen } from "./live/feed.js";
import { useLocation } from "./router.js";
import { Layout } from "./ui/layout.js";
import { PageHeading } from "./ui/parts.js";
import { Loading } from "./ui/states.js";

/** @typedef {import("preact").ComponentType<any>} Page */

/** @type {{ pattern: RegExp, load: () => Promise<Page> }[]} */
const ROUTES = [
  { pattern: /^\/$/, load: async () => (await import("./pages/overview.js")).Overview },
  { pattern: /^\/jobs$/, load: async () => (await import("./pages/jobs.js")).Jobs },
  { pattern: /^\/jobs\/(?<id>[^/]+)$/, load: async () => (await import("./pages/job.js")).JobPage },
  { pattern: /^\/pipelines$/, load: async () => (await import("./pages/pipelines.js")).Pipelines },
  { pattern: /^\/pipelines\/new$/, load: async () => (await import("./pages/pipeline-editor.js")).NewPipeline },
  { pattern: /^\/pipelines\/(?<id>[^/]+)$/, load: async () => (await import("./pages/pipeline.js")).PipelinePage },
  {
    pattern: /^\/pipelines\/(?<id>[^/]+)\/edit$/,
    load: async () => (await import("./pages/pipeline-editor.js")).EditPipeline,
  },
  { pattern: /^\/runners$/, load: async () => (await import("./pages/runners.js")).Runners },
  { pattern: /^\/events$/, load: async () => (await import("./pages/events.js")).Events },
  { pattern: /^\/projections$/, load: async () => (await import("./pages/projections.js")).Projections },
];

export function App() {
  const { path } = useLocation();
  return html`<${Layout}><${Guard} key=${path}><${Routed} path=${path} /><//><//>`;
}

/** @param {{ path: string }} props */
function Routed({ path }) {
  const [shown, setShown] = useState(/** @type {{ Page: Page | null } | null} */ (null));
  const address = path.length > 1 ? path.replace(/\/$/, "") : path;
  const route = ROUTES.find(({ pattern }) => pattern.test(address));

  useEffect(() => {
    route?.load().then(
      (Page) => setShown({ Page }),
      (failure) => {
        console.error(failure);
        setShown({ Page: null });
      },
    );
  }, [route]);

  if (!route) return html`<${Unknown} path=${path} />`;
  if (!shown) return html`<${Loading} rows=${8} />`;
  if (!shown.Page) return html`<${NotLoaded} />`;
  return html`<${shown.Page}
    ...${route.pattern.exec(address)?.groups ?? {}}
  />`;
}

/** @param {{ path: string }} props */
function Unknown({ path }) {
  return html`<${PageHeading} title="No such page" />
    <p>There is nothing at <code>${path}</code>. The <a href="/">overview</a> leads to everything there is.</p>`;
}

/**
 * Instead of a page whose modules did not come. A browser may remember that of a module, and a server that is back may be
 * of another build, so the whole dashboard is loaded anew. By itself only once a server that was away is back: otherwise it
 * might be loaded again and again.
 */
function NotLoaded() {
  const [isAway, setAway] = useState(feedState() === "away");
  useEffect(() => {
    let wasAway = isAway;
    return listen({
      onState(state) {
        if (state === "live" && wasAway) window.location.reload();
        if (state !== "away") return;
        wasAway = true;
        setAway(true);
      },
    });
  }, []);
  if (isAway) {
    return html`<${PageHeading} title="The server is away" />
      <p role="status">This page is loaded as soon as it is back.</p>`;
  }
  return html`<${PageHeading} title="This page could not be loaded" />
    <div class="failure" role="alert">
      <p>If the server was updated while the dashboard was open, loading it anew helps.</p>
      <${LoadAnew} />
    </div>`;
}

function LoadAnew() {
  return html`<button type="button" onClick=${() => window.location.reload()}>Load anew</button>`;
}

/** A page that fails does not take the others with it. */
class Guard extends Component {
  constructor() {
    super();
    /** @type {{ hasFailed: boolean }} @override */
    this.state = { hasFailed: false };
  }

  /** @param {unknown} error @override */
  componentDidCatch(error) {
    console.error(error);
    this.setState({ hasFailed: true });
  }

  /** @override */
  render() {
    if (!this.state.hasFailed) return this.props.children;
    return html`<div class="failure" role="alert">
      <h1>This page failed</h1>
      <p>The cause is in the browser's console.</p>
      <${LoadAnew} />
    </div>`;
  }
}
