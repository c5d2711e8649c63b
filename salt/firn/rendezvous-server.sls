# The backup server, where some hosts may call nobody: it calls each of them, and keeps one port open there for its pushes (docs/rendezvous.md). A host that
# leaves the pillar is still called, until `systemctl disable --now firn-rendezvous@HOST` and its file is removed.
{% set firn = salt['firn_fleet.rendezvous_server']() %}

include:
  - firn.backup-server

/etc/firn/rendezvous:
  file.directory:
    - user: root
    - group: root
    - mode: '0700'
    - require:
      - sls: firn.backup-server

# Its public half goes into the pillar of the hosts, as firn:rendezvous:server_key.
firn_rendezvous_key:
  cmd.run:
    - name: ssh-keygen -q -t ed25519 -N '' -C firn -f /etc/firn/rendezvous/key_ed25519
    - creates: /etc/firn/rendezvous/key_ed25519
    - require:
      - file: /etc/firn/rendezvous

/etc/firn/rendezvous/known_hosts:
  file.managed:
    - contents: {{ firn.known_hosts | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - file: /etc/firn/rendezvous
{% for host, text in firn.files.items() %}
/etc/firn/rendezvous/{{ host }}.env:
  file.managed:
    - contents: {{ text | json }}
    - user: root
    - group: root
    - mode: '0600'
    - require:
      - file: /etc/firn/rendezvous

firn-rendezvous@{{ host }}.service:
  service.running:
    - enable: true
    - require:
      - cmd: firn_rendezvous_key
    - watch:
      - file: /etc/firn/rendezvous/{{ host }}.env
      - file: /etc/firn/rendezvous/known_hosts
{% endfor %}
