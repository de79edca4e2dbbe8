const media = matchMedia(query);
media.onchange = () => { toggle.active = media.matches; };
media.onchange();
