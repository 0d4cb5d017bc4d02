if ! command -v fnb >/dev/null; then
  : "${FNB_URL:?it must be set: the https address of fnb}" "${FNB_SHA256:?it must be set: the SHA-256 of the program at FNB_URL}"
  mkdir -p "$HOME/.local/bin"
  curl --fail --silent --show-error --location --retry 3 --proto =https --output "$HOME/.local/bin/fnb.new" "$FNB_URL"
  echo "$FNB_SHA256  $HOME/.local/bin/fnb.new" | sha256sum --check --quiet
  chmod 0755 "$HOME/.local/bin/fnb.new"
  mv "$HOME/.local/bin/fnb.new" "$HOME/.local/bin/fnb"
fi
