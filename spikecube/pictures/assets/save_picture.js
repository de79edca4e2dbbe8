const shown = [];
const walk = (view) => {
  if (view.model.tags.includes("view")) shown.push(view);
  else for (const child of view.child_views ?? []) walk(child);
};
for (const view of Bokeh.index) walk(view);
const view = shown[slot] ?? shown[0];
const figure = view.model.title ? view.model : view.model.children[0];
figure.title.visible = true;
setTimeout(() => view.export(kind).to_blob().then((blob) => {
  figure.title.visible = false;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = (view.model.tags[1] ?? "spikecube") + "." + kind;
  link.click();
}), 100);
