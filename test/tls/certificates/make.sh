#!/bin/sh
# Makes the certificates of these tests anew, with OpenSSL: they end in a hundred years, but for the one that has ended.
# The keys are for tests only, and in the repository so that these need no program that may not be there.
set -eu
cd "$(dirname "$0")"
days=36500

authority() { # NAME SUBJECT
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days $days -subj "$2" \
    -keyout "$1.key" -out "$1.crt" 2>/dev/null
}
signed() { # NAME AUTHORITY SUBJECT ALTERNATIVE-NAMES [OPTIONS]
  name=$1 by=$2 subject=$3 names=$4
  shift 4
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "$subject" \
    -keyout "$name.key" -out "$name.csr" 2>/dev/null
  printf 'subjectAltName=%s\n' "$names" >extensions
  openssl x509 -req -in "$name.csr" -CA "$by.crt" -CAkey "$by.key" -set_serial "0x$(openssl rand -hex 8)" \
    -extfile extensions -out "$name.crt" "$@" 2>/dev/null
  rm "$name.csr" extensions
}

local="DNS:localhost,IP:127.0.0.1"
authority authority '/CN=Wherry tests'
authority stranger '/CN=Somebody else'
signed first authority '/CN=first' "$local" -days $days
signed second authority '/CN=second' "$local" -days $days
signed expired authority '/CN=expired' "$local" -days -1
signed runner authority '/O=builders/CN=runner' 'DNS:runner.example' -days $days
signed workload authority '/' 'URI:spiffe://example/ns/ci/sa/runner' -days $days
signed nobody authority '/' 'IP:10.0.0.1' -days $days
signed intruder stranger '/CN=runner' 'DNS:runner.example' -days $days
openssl pkey -in first.key -aes256 -passout pass:secret -out encrypted.key
rm authority.key stranger.key stranger.crt first.csr 2>/dev/null || true
