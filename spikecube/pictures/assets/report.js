"use strict";
(async () => {
  const films = JSON.parse(document.getElementById("films").textContent);
  const numbers = (column) => column.map((v) => (v === null ? NaN : Array.isArray(v) ? numbers(v) : v));

  function show(doc, frame) {
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

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function table(doc) {
    const rows = [];
    const root = doc.roots()[0];
    for (const renderer of (root.children ?? [root]).flatMap((figure) => figure.renderers)) {
      if (!renderer.data_source) continue;
      const columns = Object.entries(renderer.data_source.data);
      const length = columns.length ? columns[0][1].length : 0;
      const names = columns.map(([name]) => name);
      if (length) rows.push(["# " + (renderer.name || renderer.glyph.type)].join(","), names.join(","));
      for (let i = 0; i < length; i++) rows.push(columns.map(([, c]) => JSON.stringify(c[i] ?? null)).join(","));
    }
    return rows.join("\n") + "\n";
  }

  for (const film of films) {
    const views = await Bokeh.embed.embed_item(film.item, "plot-" + film.name);
    const doc = Bokeh.documents[Bokeh.documents.length - 1];
    const box = document.getElementById("film-" + film.name);
    const absent = box.querySelector(".absent");
    const inputs = [...box.querySelectorAll("input[type=range]")];

    const update = () => {
      let place = 0;
      inputs.forEach((input, i) => {
        const slider = film.sliders[i];
        place = place * slider.texts.length + Number(input.value);
        const text = slider.symbol + " = " + slider.texts[Number(input.value)];
        input.nextElementSibling.value = text;
        input.setAttribute("aria-valuetext", text);
      });
      const frame = film.frames[place];
      absent.textContent = frame ? "" : "Nothing is measured or predicted at this place.";
      if (frame) show(doc, frame);
    };
    inputs.forEach((input) => input.addEventListener("input", update));

    box.querySelectorAll(".tools button").forEach((button) =>
      button.addEventListener("click", async () => {
        const kind = button.dataset.kind;
        if (kind === "csv") return save(new Blob([table(doc)], { type: "text/csv" }), film.name + ".csv");
        const view = Bokeh.index.find_one_by_id(doc.roots()[0].id);
        save(await view.export(kind).to_blob(), film.name + "." + kind);
      })
    );
  }
  document.body.dataset.ready = "yes";
})();
