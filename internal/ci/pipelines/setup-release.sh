version=${FNB_RELEASE##*/v}
case $(fnb version 2>/dev/null) in
"fnb $version" | "fnb v$version") ;;
*)
  (
    cd "$(mktemp -d)" || exit
    case $(uname -m) in aarch64 | arm64) arch=arm64 ;; *) arch=amd64 ;; esac
    archive=fnb_${version}_linux_$arch.tar.gz
    for file in checksums.txt "$archive"; do
      curl --fail --silent --show-error --location --retry 3 --proto =https --output "$file" "$FNB_RELEASE/$file"
    done
    echo "$FNB_SHA256  checksums.txt" | sha256sum --check --quiet
    grep "  $archive\$" checksums.txt | sha256sum --check --quiet
    tar -xzf "$archive" fnb
    mkdir -p "$HOME/.local/bin"
    mv fnb "$HOME/.local/bin/fnb"
  )
  ;;
esac
