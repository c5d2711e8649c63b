# A new key for one host. Between the server's step and the host's a push finds its key refused; the host's own push at the end makes up for it.
#   salt-run state.orchestrate firn.orch.rotate pillar='{"server": "backup1", "host": "web01"}'
{% set server = pillar['server'] %}
{% set host = pillar['host'] %}

firn_new_key:
  salt.function:
    - name: firn_keys.begin
    - tgt: {{ host | json }}
    - tgt_type: list

firn_new_key_in_mine:
  salt.function:
    - name: mine.update
    - tgt: {{ host | json }}
    - tgt_type: list
    - require:
      - salt: firn_new_key

firn_server_takes_it:
  salt.state:
    - tgt: {{ server | json }}
    - tgt_type: list
    - sls: firn.backup-server
    - require:
      - salt: firn_new_key_in_mine

firn_host_takes_it:
  salt.function:
    - name: firn_keys.finish
    - tgt: {{ host | json }}
    - tgt_type: list
    - require:
      - salt: firn_server_takes_it

firn_push_with_it:
  salt.function:
    - name: cmd.run
    - tgt: {{ host | json }}
    - tgt_type: list
    - arg:
      - systemctl start --no-block firn-push.service
    - require:
      - salt: firn_host_takes_it
