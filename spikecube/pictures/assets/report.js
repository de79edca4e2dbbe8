"use strict";
(async () => {
  const { films, dark } = JSON.parse(document.getElementById("films").textContent);
  const inputs = [...document.querySelectorAll(".bar input")];
  const numbers = (column) => column.map((v) => (v === null ? NaN : Array.isArray(v) ? numbers(v) : v));

  function patch(doc, frame) {
    for (const [id, state] of Object.entries(frame)) {
      const model = doc.get_model_by_id(id);
      if (model === null) continue;
      if ("data" in state) {
        model.data = Object.fromEntries(Object.entries(state.data).map(([name, column]) => [name, numbers(column)]));
      } else {
        model.setv(state);
      }
    }
  }

  // Colours of the page.

  const night = matchMedia("(prefers-color-scheme: dark)");
  const back = Object.fromEntries(Object.entries(dark).map(([light, other]) => [other, light]));
  let isDark = false;
  function shade(wanted) {
    if (wanted === isDark) return;
    isDark = wanted;
    for (const film of films) paint(film.doc, wanted ? dark : back);
  }

  // The width of the page.

  const slim = matchMedia("(max-width: 600px)");
  let isSlim = false;
  function squeeze(wanted) {
    if (wanted === isSlim) return;
    isSlim = wanted;
    for (const film of films) figuresOf(film.doc.roots()[0]).forEach((figure) => fitTo(figure, wanted));
  }

  // Pictures and their sliders.

  const place = (film) => film.axes.reduce((index, [axis, length]) => index * length + Number(inputs[axis].value), 0);

  function show(film) {
    const at = place(film);
    if (at === film.at) return;
    film.at = at;
    const [title, below, spoken] = film.captions[at];
    const frame = film.frames[at];
    film.box.classList.toggle("empty", frame === null);
    film.box.querySelector("figcaption b").textContent = frame ? title : "";
    film.box.querySelector("figcaption span").textContent = frame ? below : "";
    film.box.querySelector(".absent").textContent = frame ? "" : title;
    film.plot.setAttribute("aria-label", spoken || title);
    if (frame) {
      patch(film.doc, frame);
      if (isDark) paint(film.doc, dark);
    }
  }

  function inSight(film) {
    const { top, bottom } = film.box.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  }

  let waiting = 0;
  function move() {
    inputs.forEach((input) => {
      const text = input.dataset.symbol + " = " + JSON.parse(input.dataset.texts)[Number(input.value)];
      input.nextElementSibling.value = text;
      input.setAttribute("aria-valuetext", text);
    });
    cancelAnimationFrame(waiting);
    waiting = requestAnimationFrame(() => {
      films.filter(inSight).forEach(show);
      waiting = requestAnimationFrame(() => films.forEach(show));
    });
  }

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  const figuresOf = (root) => root.children ?? [root];

  function table(film) {
    const rows = ["# " + film.captions[film.at].slice(0, 2).join("; ").replaceAll("\n", "; ")];
    for (const renderer of figuresOf(film.doc.roots()[0]).flatMap((figure) => figure.renderers)) {
      if (!renderer.data_source) continue;
      const columns = Object.entries(renderer.data_source.data);
      const length = columns.length ? columns[0][1].length : 0;
      if (length) rows.push("# " + (renderer.name || renderer.glyph.type), columns.map(([name]) => name).join(","));
      for (let i = 0; i < length; i++) rows.push(columns.map(([, c]) => JSON.stringify(c[i] ?? null)).join(","));
    }
    return rows.join("\n") + "\n";
  }

  async function picture(film, kind) {
    const root = film.doc.roots()[0];
    const title = figuresOf(root)[0].title;
    title.text = film.captions[film.at].slice(0, 2).filter(Boolean).join("\n");
    await new Promise((done) => setTimeout(done, 100)); // the figure lays itself out with its title
    const blob = await Bokeh.index.find_one_by_id(root.id).export(kind).to_blob();
    title.text = "";
    return blob;
  }

  for (const film of films) {
    film.box = document.getElementById("film-" + film.name);
    film.plot = document.getElementById("plot-" + film.name);
    await Bokeh.embed.embed_item(film.item, film.plot.id);
    film.doc = Bokeh.documents[Bokeh.documents.length - 1];
    film.at = -1;
    film.box.querySelectorAll(".tools button").forEach((button) =>
      button.addEventListener("click", async () => {
        const kind = button.dataset.kind;
        const blob = kind === "csv" ? new Blob([table(film)], { type: "text/csv" }) : await picture(film, kind);
        save(blob, film.name + "." + kind);
      })
    );
  }
  inputs.forEach((input) => input.addEventListener("input", move));
  films.forEach(show);
  move();
  shade(night.matches);
  night.addEventListener("change", () => shade(night.matches));
  squeeze(slim.matches);
  slim.addEventListener("change", () => squeeze(slim.matches));

  // Paper: everything unfolded. It does not wait until figures are painted by day, so the style inverts those of the night.

  const folded = [...document.querySelectorAll("details")];
  let open = [];
  addEventListener("beforeprint", () => {
    films.forEach(show);
    document.body.classList.toggle("night", isDark);
    open = folded.filter((details) => details.open);
    folded.forEach((details) => { details.open = true; });
  });
  addEventListener("afterprint", () => {
    folded.forEach((details) => { details.open = open.includes(details); });
  });
  document.body.dataset.ready = "yes";
})();
