"""Replies in the shapes of real registries, all of invented registrants under reserved names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from intel.registration import FieldState, Outcome
from intel.registration_words import read_words
from tasks.normalize.whois import read_whois

WORDS = read_words((Path(__file__).parents[3] / "configs" / "registration.yaml").read_bytes())

NS = ("ns1.hosting.example", "ns2.hosting.example")
ADA = {"name": "Ada Invented", "email": "ada@registrant.example"}

AUSTRIA = """
domain:         lapse.example
registrar:      Example Registrar ( https://registry.example/registrar/7 )
registrant:     AI1234567-NICAT
tech-c:         TC7654321-NICAT
nserver:        ns1.hosting.example
remarks:        192.0.2.1
nserver:        ns2.hosting.example
changed:        20111101 09:12:34
source:         AT-DOM

personname:
organization:   Hosting GmbH
e-mail:         tech@hosting.example
nic-hdl:        TC7654321-NICAT
changed:        20150101 09:12:34
source:         AT-DOM

personname:     Ada Invented
organization:   Invented GmbH
street address: Example Road 1
country:        Austria
phone:          +4312345678
e-mail:         ada@registrant.example
nic-hdl:        AI1234567-NICAT
changed:        20160101 09:12:34
source:         AT-DOM
"""
BRAZIL = """
domain:      lapse.example
owner:       Ada Invented
ownerid:     000.000.000-00
country:     BR
owner-c:     ADINV
admin-c:     OTHER
nserver:     ns1.hosting.example
nsstat:      20190930 AA
nserver:     ns2.hosting.example
created:     19990518 #162310
changed:     20190417
expires:     20200518
status:      published

nic-hdl-br:  OTHER
person:      Bob Invented
e-mail:      bob@elsewhere.example
created:     20100520

nic-hdl-br:  ADINV
person:      Ada Assistant
e-mail:      ada@registrant.example
created:     20110520
"""
BRAZILIAN_COMPANY = """
domain:      lapse.example
owner:       Invented Ltda
responsible: Ada Invented
owner-c:     ADINV
nserver:     ns1.hosting.example
nserver:     ns2.hosting.example
created:     19990518 #162310

nic-hdl-br:  ADINV
person:      Ada Assistant
e-mail:      ada@registrant.example
"""
ICELAND = """
domain:       lapse.example
registrant:   AI62-IS
nserver:      ns1.hosting.example
nserver:      ns2.hosting.example
created:      May 22 2002
expires:      May 22 2020
source:       ISNIC

role:         Ada Invented
nic-hdl:      AI62-IS
e-mail:       ada@registrant.example
created:      May 28 2005
"""
NEW_ZEALAND = """
version: 8.6
query_datetime: 2014-02-18T20:44:01+13:00
domain_name: lapse.example
query_status: 200 Active
domain_dateregistered: 1999-02-17T00:00:00+13:00
domain_datebilleduntil: 2015-02-17T00:00:00+13:00
domain_datelastmodified: 2014-01-18T23:49:04+13:00
%
registrar_name: Example Registrar
registrar_email: ops@registrar.example
%
registrant_contact_name: Ada Invented
registrant_contact_country: NZ (NEW ZEALAND)
registrant_contact_email: ada@registrant.example
%
admin_contact_name: Bob Invented
admin_contact_email: bob@hosting.example
%
ns_name_01: ns1.hosting.example
ns_name_02: ns2.hosting.example
"""
TWO_LANGUAGES = """Domain Name: lapse.example
   Registrant:
      發明有限公司
      Invented Ltd
      Ada Invented  ada@registrant.example
      1 Example Road

   Domain servers in listed order:
      ns1.hosting.example
      ns2.hosting.example
"""
FINLAND = """
domain.............: lapse.example
status.............: Registered
created............: 1.2.1991 00:00:00
expires............: 31.8.2020 00:00:00
modified...........: 24.1.2019

Nameservers

nserver............: ns1.hosting.example [OK]
nserver............: ns2.hosting.example [OK]

DNSSEC

dnssec.............: no

Holder

name...............: Ada Invented
address............: Example Road 1
country............: Finland
phone..............: +358401234567
holder email.......: ada@registrant.example

Registrar

registrar..........: Example Registrar

Tech

name...............: Bob Invented
email..............: bob@hosting.example
"""
KOREA = """query : lapse.example

# KOREAN(UTF8)

도메인이름                  : lapse.example
등록인                      : 에이다

# ENGLISH

Domain Name                 : lapse.example
Registrant                  : Ada Invented
Registrant Address          : 1 Example Road
Administrative Contact(AC)  : Bob Invented
AC E-Mail                   : bob@hosting.example
Registered Date             : 1999. 07. 28.
Last Updated Date           : 2010. 10. 04.
Expiration Date             : 2020. 07. 28.
Authorized Agency           : Example Registrar(http://registrar.example)

Primary Name Server
   Host Name                : ns1.hosting.example

Secondary Name Server
   Host Name                : ns2.hosting.example
"""
TAIWAN = """Domain Name: lapse.example
   Domain Status: clientUpdateProhibited
   Registrant:
      Invented Ltd
      Ada Invented  ada@registrant.example
      +886.2123456789
      1 Example Road
      TW

   Administrative Contact:
      Hosting Ltd
      Bob Invented  bob@hosting.example

   Record expires on 2020-08-28 (YYYY-MM-DD)
   Record created on 2000-08-29 (YYYY-MM-DD)

   Domain servers in listed order:
      ns1.hosting.example
      ns2.hosting.example

Registration Service Provider: Example Registrar
"""
ISLANDS = """
Domain : lapse.example
Status : Live
Expiry : 2020-06-26

NS 1   : ns1.hosting.example
NS 2   : ns2.hosting.example

Owner Name    : Ada Invented
Owner OrgName : Invented Ltd
Owner Addr    : 1 Example Road
Admin Name    : Bob Invented
"""
TURKEY = """** Domain Name: lapse.example
Domain Status: Active

** Registrant:
   Ada Invented
   1 Example Road
   Hidden upon user request

** Registrar:
NIC Handle\t\t: exa1-metu
Organization Name\t: Example Registrar
Phone\t\t\t: +90-1-234567

** Domain Servers:
ns1.hosting.example
ns2.hosting.example 192.0.2.2

** Additional Info:
Created on..............: 2001-Aug-23.
Expires on..............: 2021-Aug-22.

** Whois Server:
Last Update Time: 2019-10-06T16:30:31+03:00
"""
POLAND = """
DOMAIN NAME:           lapse.example
registrant type:       organization
nameservers:           ns1.hosting.example.
                       ns2.hosting.example. [192.0.2.2]
created:               2002.09.19 13:00:00
last modified:         2019.08.17 11:40:22
renewal date:          2020.09.18 14:00:00

no option

dnssec:                Unsigned

REGISTRAR:
Example Registrar
1 Example Road
PL
+48.123456789

WHOIS database responses: https://registry.example/pl
"""
ISRAEL = """
query:        lapse.example
reg-name:     lapse
domain:       lapse.example

descr:        Ada Invented
descr:        1 Example Road
phone:        +972 3 1234567
e-mail:       ada AT registrant.example
admin-c:      BI-BI2100-IL
nserver:      ns1.hosting.example
nserver:      ns2.hosting.example
validity:     05-06-2020
status:       Transfer Locked
changed:      domain-registrar AT registry.example 19990605 (Assigned)
changed:      domain-registrar AT registry.example 20030722 (Changed)

person:       Bob Invented
e-mail:       bob AT hosting.example
nic-hdl:      BI-BI2100-IL

registrar name: Example Registrar
"""
RUSSIA = """
domain:        LAPSE.EXAMPLE
nserver:       ns1.hosting.example.
nserver:       ns2.hosting.example. 192.0.2.2
state:         REGISTERED, DELEGATED, VERIFIED
person:        Ada Invented
e-mail:        ada@registrant.example
registrar:     EXAMPLE-RU
admin-contact: https://registry.example/whois
created:       2004-03-03T21:00:00Z
paid-till:     2020-03-04T21:00:00Z
free-date:     2020-04-05
source:        TCI

Last updated on 2019-10-06T13:01:30Z
"""
UKRAINE = """
domain:           lapse.example
dom-public:       NO
registrant:       ai-invented
nserver:          ns1.hosting.example
nserver:          ns2.hosting.example
status:           ok
created:          2004-12-04 00:00:00+02
modified:         2018-11-03 23:56:49+02
expires:          2019-12-04 00:00:00+02
source:           UAEPP

% Registrar:
% ==========
registrar:        ua.example
organization:     Example Registrar
email:            ops@registrar.example

% Registrant:
% ===========
contact-id:       ai-invented
person:           Ada Invented
e-mail:           ada@registrant.example
created:          2010-12-04 00:00:00+02

% Technical Contacts:
% ===================
contact-id:       bob
person:           Bob Invented
e-mail:           bob@hosting.example
"""
DENMARK = """
Domain:               lapse.example
DNS:                  lapse.example
Registered:           1999-01-10
Expires:              2020-03-31
DNSSEC:               Unsigned delegation
Status:               Active

Registrant
Handle:               AI2450-DK
Name:                 Ada Invented
Address:              1 Example Road
Country:              DK

Nameservers
Hostname:             ns1.hosting.example
Hostname:             ns2.hosting.example
"""
NETHERLANDS = """Domain name: lapse.example
Status:      active

Registrar:
   Example Registrar
   1 Example Road
   Town
   Netherlands

Abuse Contact:
   +31.201234567
   abuse@registrar.example

Creation Date: 1999-05-27
Updated Date: 2015-12-30
DNSSEC:      no

Domain nameservers:
   ns1.hosting.example      192.0.2.1
   ns2.hosting.example      2001:db8::2

Record maintained by: Example Registry
"""
ESTONIA = """
Domain:
name:       lapse.example
status:     ok (paid and in zone)
registered: 2010-07-04 04:10:20 +03:00
changed:    2019-02-19 11:02:21 +02:00
expire:     2020-03-21

Registrant:
name:       Ada Invented
country:    EE
email:      Not Disclosed - Visit registry.example for web-based WHOIS

Administrative contact
name:       Bob Invented
email:      Not Disclosed

Registrar:
name:       Example Registrar
url:        http://registrar.example
changed:    2017-06-30 13:44:11 +03:00

Name servers:
nserver:    ns1.hosting.example
nserver:    ns2.hosting.example
changed:    2010-12-09 10:59:44 +02:00
"""
LATVIA = """
[Domain]
Domain: lapse.example
Status: active

[Holder]
Type: Natural person
Name: Ada Invented
Email: ada@registrant.example

[Tech]
Name: Bob Invented
Email: bob@hosting.example

[Registrar]
Name: Example Registrar
Email: ops@registrar.example

[Nservers]
Nserver: ns1.hosting.example
Nserver: ns2.hosting.example
"""
MEXICO = """
Domain Name:       lapse.example

Created On:        2001-05-11
Expiration Date:   2020-05-10
Last Updated On:   2019-05-06
Registrar:         Example Registrar
URL:               http://registrar.example

Registrant:
   Name:           Ada Invented
   City:           Town
   Country:        Mexico

Administrative Contact:
   Name:           Bob Invented

Name Servers:
   DNS:            ns1.hosting.example
   DNS:            ns2.hosting.example  192.0.2.2
"""
ARGENTINA = """
domain:\t\tlapse.example
registrant:\t20000000001
registrar:\tnicar
registered:\t2009-03-11 00:00:00
changed:\t2019-10-01 13:47:13.345
expire:\t\t2019-11-01 00:00:00

contact:\t20000000001
name:\t\tADA INVENTED
registrar:\tnicar
created:\t2013-08-19 00:00:00
changed:\t2019-10-03 14:01:04

nserver:\tns1.hosting.example ()
nserver:\tns2.hosting.example ()
registrar:\tnicar
created:\t2016-07-01 00:02:29
"""
VENEZUELA = """
   Nombre de Dominio: lapse.example

   Titular:
      Ada Invented\t\tada@registrant.example
      1 Example Road
      Caracas, D. Federal  VE

   Contacto Técnico:
      Bob Invented\t\tbob@hosting.example

   Fecha de Vencimiento: 2020-03-06 00:00:00
   Fecha de Creacion: 2003-03-06 00:00:00

   Estatus del dominio: ACTIVO

   Servidor(es) de Nombres de Dominio:

    - ns1.hosting.example
    - ns2.hosting.example
"""
KAZAKHSTAN = """
Domain Name............: lapse.example

Organization Using Domain Name
Name...................: Ada Invented
Organization Name......: Invented Ltd
Street Address.........: 1 Example Road

Administrative Contact/Agent
NIC Handle.............: EX-KAZNIC
Name...................: Bob Invented
Email Address..........: bob@hosting.example

Nameserver in listed order

Primary server.........: ns1.hosting.example
Primary ip address.....: 192.0.2.1

Secondary server.......: ns2.hosting.example
Secondary ip address...: 192.0.2.2

Domain created: 1999-06-07 13:01:43 (GMT+0:00)
Last modified : 2012-11-28 03:16:59 (GMT+0:00)
Domain status : ok
Current Registar: EXAMPLE-KZ
"""
MALAYSIA = """
a [Domain Name]                   LAPSE.EXAMPLE
b [DNSSEC]                        NO

d [Record Created]                02-OCT-2000
e [Record Expired]                02-OCT-2020
f [Record Last Modified]          02-SEP-2019

h [Registrant Code]               MY1234
i [Registrant]                    Ada Invented
                                  1 Example Road

j [Primary Name Server]           ns1.hosting.example
k [Secondary Name Server]         ns2.hosting.example
"""
GUERNSEY = """Domain:
     lapse.example

Domain Status:
     Active

Registrant:
     Ada Invented

Registrar:
     Example Registrar (http://registrar.example)

Relevant dates:
     Registered on 30th April 2003 at 00:00:00.000
     Registry fee due on 30th April each year

Registration status:
     Registered until cancelled

Name servers:
     ns1.hosting.example
     ns2.hosting.example
"""
EDUCATION = """
Domain Name: LAPSE.EXAMPLE

Registrant:
\tInvented University
\t1 Example Road
\tTown, ST 12345
\tUSA

Administrative Contact:
\tBob Invented
\tbob@hosting.example

Name Servers:
\tNS1.HOSTING.EXAMPLE      192.0.2.1
\tNS2.HOSTING.EXAMPLE

Domain record activated:    04-Oct-1985
Domain record last updated: 19-Jul-2019
Domain expires:             31-Jul-2020
"""
COOPERATIVE = """
Domain Name:  lapse.example
Created:      2001-07-01 04:00:00 UTC
Expiry Date:  2020-07-01 04:00:00 UTC

Contact Type:      technical
Contact ID:        C-2
Name:              Bob Invented
Email:             bob@hosting.example

Contact Type:      registrant
Contact ID:        C-1
Name:              Ada Invented
Organisation:      Invented Co-operative
Email:             ada@registrant.example

Host Name:         ns1.hosting.example
Host Name:         ns2.hosting.example
"""
FRANCE = """
domain:      lapse.example
status:      ACTIVE
holder-c:    AI7-FRNIC
admin-c:     BI8-FRNIC
nsl-id:      NSL1-FRNIC
registrar:   EXAMPLE REGISTRAR
Expiry Date: 12/11/2019
created:     11/12/1999
last-update: 18/04/2019
source:      FRNIC

ns-list:     NSL1-FRNIC
nserver:     ns1.hosting.example [192.0.2.1 2001:db8::1]
nserver:     ns2.hosting.example
source:      FRNIC

registrar:   EXAMPLE REGISTRAR
type:        Isp Option 1
e-mail:      ops@registrar.example
registered:  21/10/1999
source:      FRNIC

nic-hdl:     BI8-FRNIC
type:        PERSON
contact:     Bob Invented
e-mail:      bob@hosting.example
registrar:   EXAMPLE REGISTRAR
changed:     26/12/2018 nic@registry.example

nic-hdl:     AI7-FRNIC
type:        PERSON
contact:     Ada Invented
country:     FR
phone:       +33 1 23 45 67 89
e-mail:      ada@registrant.example
registrar:   EXAMPLE REGISTRAR
changed:     26/12/2018 nic@registry.example
"""
CZECHIA = """
domain:       lapse.example
registrant:   ADA-INVENTED
admin-c:      BOB
nsset:        NSS:EXAMPLE:1
registrar:    REG-EXAMPLE
registered:   21.07.2000 15:21:00
changed:      18.05.2011 23:28:45
expire:       22.07.2014

contact:      BOB
name:         Bob Invented
e-mail:       bob@hosting.example
created:      18.05.2001 23:28:26

contact:      ADA-INVENTED
org:          Invented s.r.o.
name:         Ada Invented
e-mail:       ada@registrant.example
created:      18.05.2001 23:28:26

nsset:        NSS:EXAMPLE:1
nserver:      ns1.hosting.example (192.0.2.1)
nserver:      ns2.hosting.example
tech-c:       BOB
created:      18.05.2001 23:28:26
"""
ITALY = """
Domain:             lapse.example
Status:             ok
Signed:             no
Created:            1999-12-10 00:00:00
Last Update:        2019-05-07 01:04:50
Expire Date:        2020-04-21

Registrant
  Organization:     Invented S.r.l.
  Address:          1 Example Road
                    Town
  Created:          2018-03-02 19:04:02
  Last Update:      2018-03-02 19:04:02

Admin Contact
  Name:             Bob Invented
  Created:          2018-03-12 23:25:59

Registrar
  Organization:     Example Registrar International
  Name:             EXAMPLE-REG
  Web:              https://registrar.example

Nameservers
  ns1.hosting.example
  ns2.hosting.example
"""
SLOVAKIA = """
Domain:                       lapse.example
Created:                      2004-05-21
Valid Until:                  2025-04-24
Updated:                      2024-03-21
Nameserver:                   ns1.hosting.example
Nameserver:                   ns2.hosting.example

Domain registrant:            ADA-154952
Name:                         Ada Invented
Email:                        ada@registrant.example
Created:                      2021-06-28
Updated:                      2023-09-15

Registrar:                    EXAM-0024
Name:                         Example Registrar
Created:                      2017-09-14

Technical Contact:            EXAM-0024
Name:                         Bob Invented
Created:                      2017-09-14
"""
BRITAIN = """
    Domain name:
        lapse.example

    Registrant:
        Ada Invented

    Registrant type:
        UK Individual

    Registrant's address:
        The registrant is a non-trading individual who has opted to have their
        address omitted from the WHOIS service.

    Registrar:
        Example Registrar Ltd t/a Example [Tag = EXAMPLE]
        URL: http://registrar.example

    Relevant dates:
        Registered on: 14-Feb-1999
        Expiry date:  14-Feb-2015
        Last updated:  13-Jan-2014

    Registration status:
        Registered until expiry date.

    Name servers:
        ns1.hosting.example    192.0.2.1
        ns2.hosting.example    192.0.2.2  2001:db8::2
"""
JAPAN = """
Domain Information:
[Domain Name]                   LAPSE.EXAMPLE

[Registrant]                    Ada Invented

[Name Server]                   ns1.hosting.example
[Name Server]                   ns2.hosting.example
[Signing Key]

[Created on]                    2005/05/30
[Expires on]                    2014/05/31
[Status]                        Active
[Last Updated]                  2013/06/01 01:05:07 (JST)

Contact Information:
[Name]                          Whois Desk
[Email]                         ada@registrant.example
[Postal Address]                Town
                                1 Example Road
[Phone]                         0312345678
"""
ROOT = """
domain:       LAPSE.EXAMPLE

organisation: Invented Organization
address:      1 Example Road

contact:      administrative
name:         Bob Invented
e-mail:       bob@hosting.example

nserver:      NS1.HOSTING.EXAMPLE 192.0.2.1
nserver:      NS2.HOSTING.EXAMPLE

created:      2001-09-10
changed:      2019-02-21
source:       IANA
"""
HONG_KONG = """
Domain Name:  LAPSE.EXAMPLE

Domain Status: Active

Registrar Name: EXAMPLE REGISTRAR

Registrar Contact Information: Email: ops@registrar.example

Registrant Contact Information:

Company English Name (It should be the same as the name on your Business Register Certificate): INVENTED LTD
Company Chinese name:
Address:  1 EXAMPLE ROAD
Country: Hong Kong (HK)
Email:  ada@registrant.example
Domain Name Commencement Date: 06-04-2004
Expiry Date: 31-03-2020

Technical Contact Information:

Given name:  BOB
Company name:  HOSTING LTD
Email:  bob@hosting.example

Name Servers Information:

NS1.HOSTING.EXAMPLE
NS2.HOSTING.EXAMPLE

Status Information:
"""
SWITZERLAND = """
Domain name:
lapse.example

Holder of domain name:
Invented AG
Ada Invented
Example Street 1
CH-8000 Town
Switzerland
Contractual Language: English

Technical contact:
Hosting AG
Bob Invented

DNSSEC:N

Name servers:
ns1.hosting.example
ns2.hosting.example
"""
LUXEMBOURG = """
domainname:     lapse.example
domaintype:     ACTIVE
nserver:        ns1.hosting.example
nserver:        ns2.hosting.example
ownertype:      ORGANISATION
registered:     04/06/2003
org-name:       Invented S.A.
org-country:    LU
adm-name:       Bob Invented
adm-email:      bob@hosting.example
registrar-name:         Example Registrar
registrar-email:        ops@registrar.example
"""

CASES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "at": (
        AUSTRIA,
        "lapse.at",
        {
            **ADA,
            "organisation": "Invented GmbH",
            "handle": "AI1234567-NICAT",
            "updated": "2011-11-01",
            "registrar": "Example Registrar",
        },
    ),
    "br": (
        BRAZIL,
        "lapse.br",
        {
            **ADA,
            "handle": "ADINV",
            "country": "BR",
            "created": "1999-05-18",
            "updated": "2019-04-17",
            "expires": "2020-05-18",
        },
    ),
    "br2": (BRAZILIAN_COMPANY, "lapse.br", {**ADA, "organisation": "Invented Ltda", "handle": "ADINV"}),
    "is": (ICELAND, "lapse.is", {**ADA, "handle": "AI62-IS", "created": "2002-05-22", "expires": "2020-05-22"}),
    "nz": (
        NEW_ZEALAND,
        "lapse.nz",
        {
            **ADA,
            "registrar": "Example Registrar",
            "created": "1999-02-16",
            "updated": "2014-01-18",
            "expires": "2015-02-16",
        },
    ),
    "tw2": (TWO_LANGUAGES, "lapse.tw", {**ADA, "organisation": "發明有限公司"}),
    "fi": (
        FINLAND,
        "lapse.fi",
        {
            **ADA,
            "registrar": "Example Registrar",
            "phone": "+358401234567",
            "created": "1991-02-01",
            "expires": "2020-08-31",
            "updated": "2019-01-24",
        },
    ),
    "kr": (
        KOREA,
        "lapse.kr",
        {
            "name": "Ada Invented",
            "registrar": "Example Registrar",
            "created": "1999-07-28",
            "updated": "2010-10-04",
            "expires": "2020-07-28",
        },
    ),
    "tw": (
        TAIWAN,
        "lapse.tw",
        {
            **ADA,
            "organisation": "Invented Ltd",
            "phone": "+886.2123456789",
            "created": "2000-08-29",
            "expires": "2020-08-28",
            "registrar": "Example Registrar",
        },
    ),
    "ac": (ISLANDS, "lapse.ac", {"name": "Ada Invented", "organisation": "Invented Ltd", "expires": "2020-06-26"}),
    "tr": (
        TURKEY,
        "lapse.tr",
        {"name": "Ada Invented", "registrar": "Example Registrar", "created": "2001-08-23", "expires": "2021-08-22"},
    ),
    "pl": (
        POLAND,
        "lapse.pl",
        {"registrar": "Example Registrar", "created": "2002-09-19", "updated": "2019-08-17", "expires": "2020-09-18"},
    ),
    "il": (
        ISRAEL,
        "lapse.il",
        {
            **ADA,
            "registrar": "Example Registrar",
            "created": "1999-06-05",
            "updated": "2003-07-22",
            "expires": "2020-06-05",
        },
    ),
    "ru": (
        RUSSIA,
        "lapse.ru",
        {
            **ADA,
            "registrar": "EXAMPLE-RU",
            "created": "2004-03-03",
            "expires": "2020-03-04",
            "updated": None,
            "as_of": "2019-10-06T13:01:30+00:00",
        },
    ),
    "ua": (
        UKRAINE,
        "lapse.ua",
        {
            **ADA,
            "handle": "ai-invented",
            "registrar": "ua.example",
            "created": "2004-12-03",
            "updated": "2018-11-03",
            "expires": "2019-12-03",
        },
    ),
    "dk": (
        DENMARK,
        "lapse.example",
        {
            "name": "Ada Invented",
            "handle": "AI2450-DK",
            "created": "1999-01-10",
            "expires": "2020-03-31",
            "country": "DK",
        },
    ),
    "nl": (
        NETHERLANDS,
        "lapse.nl",
        {"registrar": "Example Registrar", "created": "1999-05-27", "updated": "2015-12-30"},
    ),
    "ee": (
        ESTONIA,
        "lapse.ee",
        {
            "name": "Ada Invented",
            "registrar": "Example Registrar",
            "created": "2010-07-04",
            "updated": "2019-02-19",
            "expires": "2020-03-21",
            "country": "EE",
        },
    ),
    "lv": (LATVIA, "lapse.lv", {**ADA, "registrar": "Example Registrar"}),
    "mx": (
        MEXICO,
        "lapse.mx",
        {
            "name": "Ada Invented",
            "registrar": "Example Registrar",
            "created": "2001-05-11",
            "updated": "2019-05-06",
            "expires": "2020-05-10",
            "country": "Mexico",
        },
    ),
    "ar": (
        ARGENTINA,
        "lapse.ar",
        {
            "name": "ADA INVENTED",
            "registrar": "nicar",
            "handle": "20000000001",
            "created": "2009-03-11",
            "updated": "2019-10-01",
            "expires": "2019-11-01",
        },
    ),
    "ve": (VENEZUELA, "lapse.ve", {**ADA, "created": "2003-03-06", "expires": "2020-03-06"}),
    "kz": (
        KAZAKHSTAN,
        "lapse.kz",
        {
            "name": "Ada Invented",
            "organisation": "Invented Ltd",
            "email": None,
            "registrar": "EXAMPLE-KZ",
            "created": "1999-06-07",
            "updated": "2012-11-28",
        },
    ),
    "my": (
        MALAYSIA,
        "lapse.my",
        {
            "name": "Ada Invented",
            "handle": "MY1234",
            "created": "2000-10-02",
            "updated": "2019-09-02",
            "expires": "2020-10-02",
        },
    ),
    "gg": (GUERNSEY, "lapse.gg", {"name": "Ada Invented", "created": "2003-04-30", "registrar": "Example Registrar"}),
    "edu": (
        EDUCATION,
        "lapse.edu",
        {
            "name": "Invented University",
            "created": "1985-10-04",
            "updated": "2019-07-19",
            "expires": "2020-07-31",
            "email": None,
        },
    ),
    "coop": (
        COOPERATIVE,
        "lapse.coop",
        {
            **ADA,
            "organisation": "Invented Co-operative",
            "handle": "C-1",
            "created": "2001-07-01",
            "expires": "2020-07-01",
        },
    ),
    "fr": (
        FRANCE,
        "lapse.fr",
        {
            **ADA,
            "handle": "AI7-FRNIC",
            "country": "FR",
            "registrar": "EXAMPLE REGISTRAR",
            "created": "1999-12-11",
            "updated": "2019-04-18",
            "expires": "2019-11-12",
        },
    ),
    "cz": (
        CZECHIA,
        "lapse.cz",
        {
            **ADA,
            "organisation": "Invented s.r.o.",
            "handle": "ADA-INVENTED",
            "registrar": "REG-EXAMPLE",
            "created": "2000-07-21",
            "updated": "2011-05-18",
            "expires": "2014-07-22",
        },
    ),
    "it": (
        ITALY,
        "lapse.it",
        {
            "organisation": "Invented S.r.l.",
            "name": None,
            "registrar": "EXAMPLE-REG",
            "created": "1999-12-10",
            "updated": "2019-05-07",
            "expires": "2020-04-21",
        },
    ),
    "sk": (
        SLOVAKIA,
        "lapse.sk",
        {
            **ADA,
            "handle": "ADA-154952",
            "registrar": "Example Registrar",
            "created": "2004-05-21",
            "updated": "2024-03-21",
            "expires": "2025-04-24",
        },
    ),
    "uk": (
        BRITAIN,
        "lapse.uk",
        {
            "name": "Ada Invented",
            "registrar": "Example Registrar Ltd t/a Example",
            "created": "1999-02-14",
            "updated": "2014-01-13",
            "expires": "2015-02-14",
        },
    ),
    "jp": (
        JAPAN,
        "lapse.jp",
        {**ADA, "phone": "0312345678", "created": "2005-05-30", "updated": "2013-05-31", "expires": "2014-05-31"},
    ),
    "iana": (
        ROOT,
        "lapse.int",
        {
            "organisation": "Invented Organization",
            "name": None,
            "email": None,
            "created": "2001-09-10",
            "updated": "2019-02-21",
        },
    ),
    "hk": (
        HONG_KONG,
        "lapse.hk",
        {
            "organisation": "INVENTED LTD",
            "email": "ada@registrant.example",
            "registrar": "EXAMPLE REGISTRAR",
            "created": "2004-04-06",
            "expires": "2020-03-31",
        },
    ),
    "ch": (SWITZERLAND, "lapse.ch", {"organisation": "Invented AG", "name": "Ada Invented", "email": None}),
    "lu": (
        LUXEMBOURG,
        "lapse.lu",
        {
            "organisation": "Invented S.A.",
            "country": "LU",
            "registrar": "Example Registrar",
            "created": "2003-06-04",
            "email": None,
        },
    ),
}


def _said(found: Any, name: str) -> str | None:
    if name in {"created", "updated", "expires"}:
        at = getattr(found, name).at
        return at.date().isoformat() if at else None
    if name == "as_of":
        return found.as_of.isoformat() if found.as_of else None
    return (found.registrar if name == "registrar" else getattr(found.registrant, name)).value


@pytest.mark.parametrize("registry", CASES)
def test_a_registrys_form_is_read_whole(registry: str) -> None:
    text, domain, expected = CASES[registry]
    found = read_whois(text.encode(), WORDS, domain=domain)
    assert found.outcome is Outcome.REGISTERED
    assert {name: _said(found, name) for name in expected} == expected
    assert found.name_servers == NS


def test_what_is_not_disclosed_is_a_state_of_every_field() -> None:
    text = "Domain: lapse.example\n\nRegistrant:\n\tNOT DISCLOSED!\n\tVisit registry.example for web-based WHOIS.\n\n"
    text += (
        "Registrar:\n\tName: Example Registrar\n\nName servers:\n\tns1.hosting.example\n\nPlease visit www.example\n"
    )
    found = read_whois(text.encode(), WORDS, domain="lapse.example")
    states = {field.state for field in (found.registrant.name, found.registrant.organisation, found.registrant.email)}
    assert states == {FieldState.REDACTED}
    assert found.name_servers == ("ns1.hosting.example",)
