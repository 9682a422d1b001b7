// Charts: data stands in the page as JSON with names of tokens for colours. Plotly is fetched when a chart comes near the
// screen, and draws again where the theme or the width changes.
(() => {
  "use strict";
  const me = document.currentScript;
  const CONFIG = { displayModeBar: false, responsive: false, doubleClick: false, scrollZoom: false };
  let loading = null;

  function plotly() {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = me.dataset.plotly;
      script.nonce = me.nonce;
      script.addEventListener("load", () => resolve(window.Plotly));
      script.addEventListener("error", () => reject(new Error("Plotly did not load")));
      document.head.append(script);
    });
    return loading;
  }

  // A token's value for this theme: Plotly's own reader of colours knows neither variables nor light-dark().
  function colour(name) {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    probe.style.color = `var(--${name})`;
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function coloured(value) {
    if (Array.isArray(value)) return value.map(coloured);
    if (!value || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([key, inner]) => [key, key === "color" && typeof inner === "string" ? colour(inner) : coloured(inner)]),
    );
  }

  function layoutOf(element, given) {
    const small = element.clientWidth < 480;
    const style = getComputedStyle(document.body);
    const axis = {
      color: colour("ink-3"),
      gridcolor: colour("line"),
      linecolor: colour("line-strong"),
      tickfont: { size: 10, color: colour("ink-3") },
      automargin: false,
    };
    return {
      ...given,
      xaxis: { ...axis, ...given.xaxis },
      yaxis: { ...axis, ...given.yaxis },
      width: element.clientWidth,
      height: element.clientHeight,
      margin: { l: 40, r: small ? 70 : 84, t: 24, b: 26 },
      font: { family: style.fontFamily, size: 11, color: colour("ink-2") },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      showlegend: false,
      hovermode: "x",
      hoverlabel: { bgcolor: colour("raised"), bordercolor: colour("line-strong"), font: { color: colour("ink"), size: 11 } },
      dragmode: false,
    };
  }

  async function draw(element) {
    const given = document.getElementById(element.dataset.chart);
    if (!given) return;
    const library = await plotly();
    if (!element.isConnected) return;
    const { data, layout } = coloured(JSON.parse(given.textContent));
    await library.react(element, data, layoutOf(element, layout), CONFIG);
    element.dataset.drawn = "yes";
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "200px" },
  );

  const redraw = () => document.querySelectorAll("[data-drawn]").forEach(draw);
  const begin = () => document.querySelectorAll("[data-chart]:not([data-drawn])").forEach((element) => near.observe(element));

  let timer = 0;
  addEventListener("resize", () => {
    clearTimeout(timer);
    timer = setTimeout(redraw, 150);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  document.addEventListener("htmx:afterSettle", begin);
  begin();
})();
