# The whole fleet, in the one order that works: modules, keys of hosts, the server with their accounts, then the hosts with its key.
#   salt-run state.orchestrate firn.orch.deploy pillar='{"server": "backup1", "hosts": "web01,db1.example.org"}'
{% set server = pillar['server'] %}
{% set hosts = pillar['hosts'] %}

firn_modules:
  salt.function:
    - name: saltutil.sync_all
    - tgt: {{ (server ~ ',' ~ hosts) | json }}
    - tgt_type: list

firn_pillar:
  salt.function:
    - name: saltutil.refresh_pillar
    - tgt: {{ (server ~ ',' ~ hosts) | json }}
    - tgt_type: list
    - kwarg:
        wait: true
    - require:
      - salt: firn_modules

firn_keys_of_hosts:
  salt.function:
    - name: mine.update
    - tgt: {{ hosts | json }}
    - tgt_type: list
    - require:
      - salt: firn_pillar

firn_server:
  salt.state:
    - tgt: {{ server | json }}
    - tgt_type: list
    - highstate: true
    - require:
      - salt: firn_keys_of_hosts

# A host that the Mine does not have is nothing that the server could miss.
firn_accounts:
  salt.function:
    - name: firn_fleet.accounts
    - tgt: {{ server | json }}
    - tgt_type: list
    - arg:
      - {{ hosts | json }}
    - require:
      - salt: firn_server

# Also if one has no account: what it lacks may be what this installs.
firn_hosts:
  salt.state:
    - tgt: {{ hosts | json }}
    - tgt_type: list
    - highstate: true
    - require:
      - salt: firn_server
