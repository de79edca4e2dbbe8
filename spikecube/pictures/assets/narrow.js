"use strict";
// On a narrow screen the legend of a figure stands above its frame, and numbers in its cells stand upright.
function fitTo(figure, narrow) {
  const [there, goal] = narrow ? ["center", "above"] : ["above", "center"];
  const moved = figure[there].filter((model) => model.tags.includes("inside"));
  if (moved.length) {
    const left = figure[there].filter((model) => !moved.includes(model));
    figure.setv({ [there]: left, [goal]: [...figure[goal], ...moved] });
  }
  const glyphs = figure.renderers.map((renderer) => renderer.glyph).filter((glyph) => glyph);
  const texts = glyphs.filter((glyph) => glyph.type === "Text");
  if (texts.length && glyphs.some((glyph) => glyph.type === "Quad")) {
    texts.forEach((glyph) => { glyph.angle = { value: narrow ? Math.PI / 2 : 0 }; });
    figure.below[0].major_label_orientation = narrow ? "vertical" : "horizontal";
  }
}
